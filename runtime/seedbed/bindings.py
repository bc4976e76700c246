"""What the names in a source file stand for, as far as reading it shows: sets, strings and numbers, queues.

Nothing is executed. A name has the value that was last assigned above the line where it is used; an attribute, whatever
class it belongs to, is a set if nothing else is ever assigned to it.
"""

import ast
import functools
from collections import defaultdict
from collections.abc import Callable, Iterator

Scope = ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
Bound = tuple[str, ast.AST]  # how ("value", "element" of it, "annotation"), and the expression

SETS = {"set", "frozenset", "WeakSet", "Set", "FrozenSet", "AbstractSet", "MutableSet"}
COMBINED = {"union", "difference", "intersection", "symmetric_difference", "copy"}
NUMBERS = {"int", "float", "len", "ord", "round", "bool", "sum", "hash", "item", "count", "index", "numel"}
NUMBERS |= {"perf_counter"}
STRINGS = {"str", "repr", "chr", "hex", "bytes", "lower", "upper", "strip", "lstrip", "rstrip", "replace", "format"}
STRINGS |= {"join", "title", "decode", "encode", "hexdigest", "digest", "group", "basename", "dirname", "removeprefix"}
STRINGS |= {"removesuffix", "casefold", "readline", "as_posix", "fspath", "input", "isoformat", "strftime"}
OF_SCALARS = {"range", "split", "rsplit", "splitlines", "tolist", "listdir", "readlines", "namelist", "findall"}
OF_SCALARS |= {"state_dict", "vars", "dir", "get_feature_names_out", "most_common"}
STRING_ATTRIBUTES = {"name", "stem", "suffix", "__name__", "__qualname__", "__module__", "ascii_letters", "digits"}
STRING_ATTRIBUTES |= {"ascii_lowercase", "ascii_uppercase", "punctuation", "environ", "argv"}
SCALARS = {"str", "int", "float", "bytes", "bool"}
BUILT = {"list", "tuple", "dict", "List", "Tuple", "Dict", "Sequence", "Iterable", "Mapping", "Optional"}
PASS_ON = {"list", "tuple", "set", "frozenset", "sorted", "reversed", "iter", "dict", "Counter", "deque", "keys"}

PROPERTIES = {"property", "cached_property"}


def asked_once(question: Callable[["Names", ast.AST], bool]) -> Callable[["Names", ast.AST], bool]:
    """The answer is no while the same is being asked already: a name may be made from itself."""

    @functools.wraps(question)
    def ask(self: "Names", node: ast.AST) -> bool:
        if (question, node) in self.pending:
            return False
        self.pending.add((question, node))
        try:
            return question(self, node)
        finally:
            self.pending.discard((question, node))

    return ask


class Names:
    """The bindings of one file."""

    def __init__(self, tree: ast.Module) -> None:
        self.bindings: dict[tuple[Scope, str], list[tuple[int, Bound]]] = defaultdict(list)
        self.attributes: dict[str, list[Bound]] = defaultdict(list)
        self.functions: dict[str, ast.FunctionDef] = {}
        self.added: dict[str, list[ast.expr]] = defaultdict(list)  # what `.add` is called with, by the set's name
        self.added_inside: dict[str, list[ast.expr]] = defaultdict(list)  # the same, by the dictionary that holds sets
        self.set_classes: set[str] = set()
        self.of_sets: set[str] = set()  # dictionaries of which `.setdefault(key, set())` is called
        self.waited: list[ast.AST] = []  # sets of futures, as `wait` returns them
        self.scopes: dict[ast.AST, Scope] = {}
        self.module = tree
        self.pending: set[tuple[Callable, ast.AST]] = set()  # questions that are not answered yet
        self.read(tree, tree)

    def read(self, node: ast.AST, scope: Scope) -> None:
        """Note the bindings in it, and in which scope each node is."""
        self.scopes[node] = scope
        for target, bound in bindings(node):
            self.bind(target, bound, scope)
        match node:
            case ast.FunctionDef():
                self.functions[node.name] = node
                if any(last_name(found) in PROPERTIES for found in node.decorator_list):
                    self.attributes[node.name].append(("returned", node))
            case ast.ClassDef():
                self.read_class(node)
            case ast.Call(func=ast.Attribute(attr="add", value=receiver), args=[element]):
                self.read_added(receiver, element)
        inner = node if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) else scope
        if inner is not scope:
            for argument in (*inner.args.posonlyargs, *inner.args.args, *inner.args.kwonlyargs):
                known = argument.annotation or ast.Constant(None)
                self.bindings[inner, argument.arg].append((node.lineno, ("annotation", known)))
        for child in ast.iter_child_nodes(node):
            self.read(child, inner)

    def read_class(self, node: ast.ClassDef) -> None:
        """Whether it is a set; and what its body binds are attributes, too (of a dataclass)."""
        own_order = any(isinstance(inner, ast.FunctionDef) and inner.name == "__iter__" for inner in node.body)
        if not own_order and any(last_name(base) in {"set", "frozenset"} | self.set_classes for base in node.bases):
            self.set_classes.add(node.name)
        for target, bound in (found for inner in node.body for found in bindings(inner)):
            if isinstance(target, ast.Name) and isinstance(bound[1], ast.expr) and not is_none(bound[1]):
                self.attributes[target.id].append(bound)

    def read_added(self, receiver: ast.expr, element: ast.expr) -> None:
        """`nodes.add(…)`, `groups[key].add(…)` or `groups.setdefault(key, set()).add(…)`."""
        match receiver:
            case ast.Subscript(value=holder):
                self.added_inside[last_name(holder)].append(element)
            case ast.Call(func=ast.Attribute(attr="setdefault", value=holder), args=[_, made]) if calls(made, SETS):
                self.of_sets.add(last_name(holder))
                self.added_inside[last_name(holder)].append(element)
            case _:
                self.added[last_name(receiver)].append(element)

    def bind(self, target: ast.expr, bound: Bound, scope: Scope) -> None:
        if isinstance(target, ast.Name):
            self.bindings[scope, target.id].append((target.lineno, bound))
        elif isinstance(target, ast.Attribute) and not is_none(bound[1]):
            self.attributes[target.attr].append(bound)
        elif isinstance(target, ast.Tuple | ast.List):
            parts = self.parts(bound)
            for number, inner in enumerate(target.elts):
                part = parts[number] if len(parts) == len(target.elts) else ("value", ast.Constant(None))
                self.bind(inner, part, scope)

    def parts(self, bound: Bound) -> list[Bound]:
        """What a target of several names is bound to, each; empty if that is not known."""
        match bound:
            case "value", ast.Tuple() | ast.List():
                return [("value", part) for part in bound[1].elts]
            case "element", ast.Call(func=ast.Attribute(attr="items", value=holder), args=[]):
                return [("element", holder), ("element", ast.Call(ast.Attribute(holder, "values"), [], []))]
            case "value", ast.Call() | ast.Await(value=ast.Call()) if waits(bound[1]):
                call = bound[1].value if isinstance(bound[1], ast.Await) else bound[1]
                self.waited.append(ast.Call(ast.Name("set"), call.args[:1], []))
                return [("value", self.waited[-1])] * 2
        return []

    def is_waited(self, node: ast.AST) -> bool:
        """Whether it is one of the sets that `wait` has returned."""
        bound = self.of_name(node)
        return bound is not None and any(bound[1] is made for made in self.waited)

    def of_name(self, name: ast.AST) -> Bound | None:
        """What it was last bound to above, in its own scope or else in the module's; None: not known, or no name."""
        if not isinstance(name, ast.Name):
            return None
        own, all_of_module = self.bindings[self.scopes[name], name.id], self.bindings[self.module, name.id]
        above = [bound for line, bound in own if line <= name.lineno and not is_made_from(bound, name)]
        if own:
            return above[-1] if above else own[0][1]
        return all_of_module[-1][1] if all_of_module else None

    @asked_once
    def is_set(self, node: ast.AST) -> bool:
        match node:
            case ast.Set() | ast.SetComp():
                return True
            case ast.Name() | ast.Attribute():
                known = self.bounds(node)
                return bool(known) and all(map(self.is_bound_to_set, known))
            case ast.BinOp(op=ast.BitOr() | ast.BitAnd() | ast.Sub() | ast.BitXor()):
                return any(self.is_set(side) or calls(side, {"keys"}) for side in (node.left, node.right))
            case ast.IfExp():
                return self.is_set(node.body) or self.is_set(node.orelse)
            case ast.BoolOp():
                return any(self.is_set(value) for value in node.values)
            case ast.NamedExpr():
                return self.is_set(node.value)
            case ast.Subscript():
                return self.holds_sets(node.value)
            case ast.Call():
                return self.gives_set(node)
        return False

    def is_bound_to_set(self, bound: Bound) -> bool:
        match bound:
            case "element", ast.Call(func=ast.Attribute(attr="values", value=holder)):
                return self.holds_sets(holder)
            case "element", _:
                return False
            case "returned", function:
                return self.returns_set(function)
        return is_set_annotation(bound[1]) if bound[0] == "annotation" else self.is_set(bound[1])

    def holds_sets(self, container: ast.AST) -> bool:
        """Whether it is a dictionary of sets, by what it is made of or by its annotation, or a list annotated so."""
        if last_name(container) in self.of_sets - {""}:
            return True
        for how, node in self.bounds(container):
            if isinstance(node, ast.Dict) and node.values:
                return all(self.is_set(value) for value in node.values)
            if isinstance(node, ast.DictComp):
                return self.is_set(node.value)
            if how == "annotation" and isinstance(node, ast.Subscript):
                inner = node.slice.elts[-1] if isinstance(node.slice, ast.Tuple) else node.slice
                return is_set_annotation(inner)
            if calls(node, {"defaultdict"}) and node.args and last_name(node.args[0]) in SETS:
                return True
        return False

    def bounds(self, node: ast.AST) -> list[Bound]:
        """What a name or an attribute is bound to; empty if that is not known."""
        if isinstance(node, ast.Attribute):
            return self.attributes.get(node.attr, [])
        return [bound] if (bound := self.of_name(node)) else []

    def is_fixed_inside(self, container: ast.AST) -> bool:
        """Whether the sets that it holds are of strings and numbers."""
        added, bounds = self.added_inside.get(last_name(container), []), self.bounds(container)
        if not bounds or not all(self.is_scalar(element) for element in added):
            return False
        for how, node in bounds:
            values = node.values if isinstance(node, ast.Dict) else [getattr(node, "value", None)]
            if how == "annotation":
                fixed = self.is_bound_to_fixed((how, node), bool(added))
            elif isinstance(node, ast.Dict | ast.DictComp):
                fixed = all((is_empty(value) and bool(added)) or self.is_fixed(value) for value in values)
            else:
                fixed = bool(added) and calls(node, {"defaultdict", "dict"})
            if not fixed:
                return False
        return True

    def gives_set(self, call: ast.Call) -> bool:
        name = last_name(call.func)
        if name in SETS | self.set_classes:
            return True
        if isinstance(call.func, ast.Attribute):
            receiver = call.func.value
            if name == "setdefault":
                return bool(call.args[1:]) and self.is_set(call.args[1])
            return name in COMBINED and (last_name(receiver) in SETS or self.is_set(receiver))
        function = self.functions.get(name)
        return function is not None and self.returns_set(function)

    def returns_set(self, function: ast.FunctionDef) -> bool:
        returned = [node.value for node in ast.walk(function) if isinstance(node, ast.Return) and node.value]
        by_value = bool(returned) and all(self.is_set(value) for value in returned)
        return by_value or (function.returns is not None and is_set_annotation(function.returns))

    @asked_once
    def is_fixed(self, node: ast.AST) -> bool:
        """Whether what it yields are strings and numbers, whose order in a set is the same in every run."""
        match node:
            case ast.Constant():
                return isinstance(node.value, str | bytes)
            case ast.Set() | ast.List() | ast.Tuple():
                return all(self.is_scalar(element) for element in node.elts)
            case ast.SetComp() | ast.ListComp() | ast.GeneratorExp():
                return self.is_scalar(node.elt)
            case ast.Dict():
                return all(key is not None and self.is_scalar(key) for key in node.keys)
            case ast.Name() | ast.Attribute():
                return self.is_fixed_name(node)
            case ast.Subscript(value=ast.Name() | ast.Attribute() as holder):
                return self.is_fixed_inside(holder) if self.holds_sets(holder) else self.is_fixed_name(holder)
            case ast.BinOp(op=ast.Sub() | ast.BitAnd()):
                return self.is_fixed(node.left)
            case ast.BinOp(op=ast.BitOr() | ast.BitXor() | ast.Add()):
                return self.is_fixed(node.left) and self.is_fixed(node.right)
            case ast.IfExp():
                return self.is_fixed(node.body) and self.is_fixed(node.orelse)
            case ast.Call():
                return self.yields_fixed(node)
        return False

    def is_fixed_name(self, node: ast.Name | ast.Attribute) -> bool:
        name = last_name(node)
        if isinstance(node, ast.Attribute) and name in STRING_ATTRIBUTES:
            return True
        bounds, added = self.bounds(node), self.added.get(name, [])
        fixed = all(self.is_bound_to_fixed(bound, bool(added)) for bound in bounds)
        return bool(bounds) and fixed and all(map(self.is_scalar, added))

    def is_bound_to_fixed(self, bound: Bound, filled: bool) -> bool:
        how, node = bound
        if how == "returned":
            returned = [inner.value for inner in ast.walk(node) if isinstance(inner, ast.Return) and inner.value]
            return bool(returned) and all(self.is_fixed(value) for value in returned)
        if how == "element" and calls(node, {"values"}) and isinstance(node.func, ast.Attribute):
            return self.holds_sets(node.func.value) and self.is_fixed_inside(node.func.value)
        if how == "annotation":
            names = {last_name(inner) for inner in ast.walk(node) if isinstance(inner, ast.Name | ast.Attribute)}
            return bool(names & SCALARS) and names <= SCALARS | SETS | BUILT
        if calls(node, {"set"}) and not node.args:
            return filled
        return how == "value" and self.is_fixed(node)

    def yields_fixed(self, call: ast.Call) -> bool:
        name = last_name(call.func)
        if name in OF_SCALARS:
            return True
        if name == "map" and call.args:
            return last_name(call.args[0]) in SCALARS
        of = call.args or ([call.func.value] if isinstance(call.func, ast.Attribute) else [])
        if name in PASS_ON | self.set_classes:
            return all(self.is_fixed(argument) for argument in of[:1])
        if name in COMBINED and isinstance(call.func, ast.Attribute):
            return all(self.is_fixed(part) for part in (call.func.value, *call.args))
        return False

    @asked_once
    def is_scalar(self, node: ast.AST) -> bool:
        """Whether it is a string or a number, or a tuple of them."""
        match node:
            case ast.Constant():
                return node.value is not None
            case ast.JoinedStr() | ast.Compare():
                return True
            case ast.Tuple():
                return all(self.is_scalar(element) for element in node.elts)
            case ast.UnaryOp():
                return self.is_scalar(node.operand)
            case ast.BinOp():
                return self.is_scalar(node.left) and (isinstance(node.op, ast.Mod) or self.is_scalar(node.right))
            case ast.Attribute():
                return node.attr in STRING_ATTRIBUTES
            case ast.Call():
                return last_name(node.func) in NUMBERS | STRINGS
            case ast.Name():
                return any(map(self.is_bound_to_scalar, self.bounds(node)))
        return False

    def is_bound_to_scalar(self, bound: Bound) -> bool:
        how, node = bound
        if how == "annotation":
            return last_name(node) in SCALARS
        return (self.is_fixed if how == "element" else self.is_scalar)(node)


def bindings(node: ast.AST) -> Iterator[tuple[ast.expr, Bound]]:
    """Each target that the statement (or comprehension) binds, and to what."""
    match node:
        case ast.Assign():
            yield from ((target, ("value", node.value)) for target in node.targets)
        case ast.AnnAssign(value=value):
            says_more = value is not None and not is_empty(value)
            yield node.target, ("value", value) if says_more else ("annotation", node.annotation)
        case ast.NamedExpr():
            yield node.target, ("value", node.value)
        case ast.For() | ast.AsyncFor() | ast.comprehension():
            yield node.target, ("element", node.iter)
        case ast.withitem(optional_vars=ast.expr() as target):
            yield target, ("value", node.context_expr)


def waits(node: ast.AST) -> bool:
    """Whether it is `wait` of concurrent.futures or asyncio, which returns two sets."""
    call = node.value if isinstance(node, ast.Await) else node
    return isinstance(call, ast.Call) and bool(call.args) and last_name(call.func) == "wait"


def is_made_from(bound: Bound, name: ast.Name) -> bool:
    """Whether the name stands in the very value that is assigned: it means the value before that."""
    return bound[0] == "value" and any(inner is name for inner in ast.walk(bound[1]))


def is_empty(node: ast.AST) -> bool:
    """`set()`, `[]` and the like, or None: its annotation says more."""
    if isinstance(node, ast.Call):
        return last_name(node.func) in {*SETS, "list", "dict", "field"} and not node.args
    return is_none(node) or (isinstance(node, ast.List | ast.Tuple) and not node.elts) or isinstance(node, ast.Dict)


def is_none(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def is_set_annotation(node: ast.AST) -> bool:
    """`set`, `set[X]`, `typing.Set[X]`, and each with `| None` or in `Optional`."""
    match node:
        case ast.BinOp():
            return is_set_annotation(node.left) or is_set_annotation(node.right)
        case ast.Subscript():
            return last_name(node.value) in SETS or (
                last_name(node.value) == "Optional" and is_set_annotation(node.slice)
            )
    return last_name(node) in SETS


def last_name(node: ast.AST) -> str:
    """`listdir` of `os.listdir` and of `listdir`; empty for what has no name."""
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def calls(node: ast.AST, names: set[str]) -> bool:
    """Whether it calls something by one of these names."""
    return isinstance(node, ast.Call) and last_name(node.func) in names
