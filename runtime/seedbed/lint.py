"""Finds, in a source file, orders that no seed fixes: of sets, of addresses, of arrival, and of directory listings."""

import ast
from collections.abc import Iterator
from pathlib import Path

from seedbed.bindings import Names, Scope, calls, last_name

SET = "loops over a set: only strings and numbers have a fixed order in it; sort it"
TAKEN = "takes any element of a set: only strings and numbers have a fixed order in it; sort it"
ADDRESS = "an order or a number made of addresses, which differ in every run"
ARRIVAL = "results come in the order in which they are ready"
CLOCK = "seeded from the clock: another result in every run"
ENTROPY = "seeded from entropy or the number of the process: another result in every run"
LOCKED = "added up under a lock, in the order in which threads arrive: add up their parts in a fixed order"
LISTING = "directory listing in the file system's order; sort it"
LISTINGS = {"listdir", "scandir", "iterdir", "glob", "iglob", "rglob"}
IN_ORDER = {"list", "tuple", "enumerate", "iter", "map", "zip", "fromkeys"}
IN_ORDER |= {"join", "stack", "cat", "array", "chain", "reduce"}
NO_ORDER = {"sorted", "len", "set", "frozenset", "WeakSet", "Counter"}
NO_ORDER |= {"any", "all", "min", "max", "update", "isdisjoint"}
NO_ORDER_OF_LISTING = {*NO_ORDER, "sum"}
BY_ARRIVAL = {"as_completed", "imap_unordered"}
SORTING = {"sorted", "min", "max", "nsmallest", "nlargest", "sort", "argsort"}
ANY_ORDER_REDUCED = {"or_", "and_", "xor", "union", "intersection", "gcd", "lcm", "max", "min"}
SEEDING = {"seed", "manual_seed", "manual_seed_all", "set_seed", "default_rng", "RandomState", "Generator", "Random"}
CLOCKS = {"time", "time_ns", "perf_counter", "perf_counter_ns", "monotonic", "monotonic_ns", "now", "utcnow"}
ENTROPIES = {"getpid", "urandom", "getrandom", "randbits", "token_bytes", "token_hex", "uuid1", "uuid4"}
WORKERS = {"Thread", "Process"}
ANY_ORDER_ON_SETS = {"add", "discard", "remove"}
LOCKS = ("lock", "mutex", "semaphore", "condition")

Finding = tuple[int, str]  # line, what is wrong there


def unordered(file: str) -> list[Finding]:
    """The lines and what is wrong there, by line; none where the file cannot be read or parsed."""
    try:
        tree = ast.parse(Path(file).read_bytes())
        return sorted(set(Lint(tree).findings()))
    except (OSError, SyntaxError, ValueError, RecursionError):
        return []


class Lint:
    """One file's findings."""

    def __init__(self, tree: ast.Module) -> None:
        self.tree = tree
        self.names = Names(tree)
        self.nodes = list(ast.walk(tree))
        self.parents = {child: node for node in self.nodes for child in ast.iter_child_nodes(node)}

    def findings(self) -> Iterator[Finding]:
        """Each, in no order."""
        for node in self.nodes:
            if self.varies(node) and (what := self.order_taken(node)):
                yield node.lineno, what
            if self.is_listing(node) and not self.is_put_in_order(node, NO_ORDER_OF_LISTING):
                yield node.lineno, LISTING
            if self.is_address(node):
                yield node.lineno, ADDRESS
            if calls(node, BY_ARRIVAL) and not self.is_put_in_order(node):
                yield node.lineno, ARRIVAL
            if isinstance(node, ast.With | ast.AsyncWith) and any(
                self.is_lock(item.context_expr) for item in node.items
            ):
                yield from self.sums(node, node.body)
            if isinstance(node, ast.Try) and any(map(self.releases, node.finalbody)):
                yield from self.sums(node, node.body)
            if calls(node, SEEDING) and (what := self.seeded_from(node)):
                yield node.lineno, what
        yield from ((line, ARRIVAL) for line in self.takes_from_many())

    def varies(self, node: ast.AST) -> bool:
        """Whether it is a set that may hold something else than strings and numbers."""
        return isinstance(node, ast.expr) and self.names.is_set(node) and not self.names.is_fixed(node)

    def order_taken(self, node: ast.expr) -> str | None:
        """What is wrong with how this set is used; None: no order is taken from it."""
        match parent := self.parents.get(node):
            case ast.For() | ast.AsyncFor() | ast.comprehension() if parent.iter is node:
                return None if self.is_put_in_order(node) else SET
            case ast.Starred() if not isinstance(self.parents[parent], ast.Set):
                return SET
            case ast.Assign(targets=[ast.Tuple() | ast.List()]) if parent.value is node:
                return SET
            case ast.Attribute(attr="pop") if calls(self.parents[parent], {"pop"}) and not self.parents[parent].args:
                return TAKEN
            case ast.Call() if node in parent.args and calls(parent, {"iter"}):
                taken = None if self.is_alone(node) else TAKEN
                return taken if calls(self.parents.get(parent), {"next"}) else SET
            case ast.Call() if calls(parent, {"reduce"}) and last_name(parent.args[0]) in ANY_ORDER_REDUCED:
                return None
            case ast.Call() if node in parent.args and calls(parent, IN_ORDER):
                return None if self.is_put_in_order(parent) else SET
        return None

    def is_alone(self, node: ast.expr) -> bool:
        """Whether the same scope asks if that set holds one element: `if len(devices) == 1`."""
        length = f"len({ast.unparse(node)})"
        return any(
            isinstance(found, ast.Compare)
            and ast.unparse(found.left) == length
            and "1" in map(ast.unparse, found.comparators)
            and self.names.scopes[found] is self.names.scopes[node]
            for found in self.nodes
        )

    def is_put_in_order(self, node: ast.AST, no_order: set[str] = NO_ORDER) -> bool:
        """Whether whoever uses it pays no attention to its order, or sorts what comes of it."""
        parent = self.parents.get(node)
        match parent:
            case ast.Call() if node in parent.args:
                return calls(parent, no_order) or (calls(parent, IN_ORDER) and self.is_put_in_order(parent, no_order))
            case ast.comprehension():
                whole = self.parents[parent]
                return isinstance(whole, ast.SetComp) or self.is_put_in_order(whole, no_order)
            case ast.For() | ast.AsyncFor() if parent.iter is node:
                return self.is_any_order(parent)
            case ast.Compare():
                return True
            case ast.Starred():
                return self.is_put_in_order(parent, no_order)
            case ast.Set():
                return True
            case ast.Assign(targets=[ast.Name() | ast.Attribute() as target]):
                return self.is_sorted_below(target)
        return False

    def is_sorted_below(self, target: ast.expr) -> bool:
        """`target.sort()`, or a use of nothing but `sorted(target)`, in the same scope further down."""
        text, scope = ast.unparse(target), self.names.scopes[target]
        for node in self.nodes:
            if getattr(node, "lineno", 0) <= target.lineno or self.names.scopes[node] is not scope:
                continue
            sorts = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "sort"
            if sorts and ast.unparse(node.func.value) == text:
                return True
            if calls(node, {"sorted"}) and node.args and ast.unparse(node.args[0]) == text:
                return True
        return False

    def is_any_order(self, loop: ast.For | ast.AsyncFor) -> bool:
        """Whether its body does the same in any order, or only fills what is sorted below."""
        targets = {last_name(inner) for inner in ast.walk(loop.target)}
        by_arrival = calls(loop.iter, BY_ARRIVAL) or self.names.is_waited(loop.iter)
        statements = [node for line in loop.body for node in flat(line)]
        done = [node for node in statements if not isinstance(node, ast.Pass | ast.Continue | ast.If | ast.Try)]
        return bool(done) and all(self.is_harmless(node, targets, by_arrival) for node in done)

    def is_harmless(self, node: ast.stmt, targets: set[str], by_arrival: bool) -> bool:
        match node:
            case ast.Assert() | ast.Raise() | ast.Delete():
                return True
            case ast.AugAssign(op=ast.Add() | ast.Sub()):
                return is_whole(node.value)
            case ast.Assign(targets=[ast.Attribute(value=ast.Name(id=owner))], value=ast.Constant()):
                return owner in targets  # `parameter.requires_grad = False`
            case ast.Assign(targets=[ast.Subscript()]):
                return by_arrival  # the way in which results are put back in order
            case ast.Assign(targets=[ast.Name()]):
                return not any(isinstance(inner, ast.Call) for inner in ast.walk(node.value)) or by_arrival
            case ast.Expr(value=ast.Call(func=ast.Attribute(attr=name, value=receiver), args=arguments)):
                if name in ("append", "extend"):
                    return self.is_sorted_below(receiver)
                of_its_own = last_name(receiver) in targets and all(isinstance(a, ast.Constant) for a in arguments)
                quiet = name in {"eval", "train", "zero_", "requires_grad_", "close", "join", "cancel", "result"}
                return name in ANY_ORDER_ON_SETS or (quiet and of_its_own)
        return False

    def is_listing(self, node: ast.AST) -> bool:
        """A call that lists a folder; of those named `walk`, os's own."""
        of_os = isinstance(node, ast.Call) and ast.unparse(node.func) == "os.walk"
        return calls(node, LISTINGS) or of_os

    def is_address(self, node: ast.AST) -> bool:
        """Orders by `id`, and arithmetic or seeds made of `id(...)` or of the hash of what is no string or number."""
        if calls(node, SORTING):
            return self.sorts_by_address(node)
        if isinstance(node, ast.Name):
            bound = self.names.of_name(node)
            if bound is None or bound[0] != "value" or not self.is_address_taken(bound[1]):
                return False
        elif not self.is_address_taken(node):
            return False
        match parent := self.parents.get(node):
            case ast.BinOp(op=ast.Mod(), left=ast.Constant(value=str())):
                return False  # "%x" % id(thing)
            case ast.BinOp():
                return True
        return isinstance(parent, ast.Call) and "seed" in last_name(parent.func)

    def is_address_taken(self, node: ast.AST) -> bool:
        """`id(…)`, or `hash(…)` of what is no string or number."""
        if not calls(node, {"id", "hash"}) or not isinstance(node.func, ast.Name) or len(node.args) != 1:
            return False
        if node.func.id == "hash" and (self.names.is_scalar(node.args[0]) or self.names.is_fixed(node.args[0])):
            return False
        return getattr(self.names.scopes[node], "name", "") != "__hash__"

    def sorts_by_address(self, call: ast.Call) -> bool:
        """By a key that is one or holds one, or without a key the keys of a dictionary that are addresses."""
        for word in call.keywords:
            if word.arg == "key":
                inner = ast.walk(word.value.body) if isinstance(word.value, ast.Lambda) else ()
                return last_name(word.value) in ("id", "hash") or any(map(self.is_address_taken, inner))
        sorted_one = call.args[0] if len(call.args) == 1 else None
        if calls(sorted_one, {"keys", "items"}) and isinstance(sorted_one.func, ast.Attribute):
            sorted_one = sorted_one.func.value
        match self.names.of_name(sorted_one):
            case "value", ast.Dict(keys=keys):
                return any(map(self.is_address_taken, keys))
            case "value", ast.DictComp(key=key):
                return self.is_address_taken(key)
        return False

    def seeded_from(self, call: ast.Call) -> str | None:
        """What another number in every run is part of this seed; None: nothing, or only if there is no other."""
        given = [*call.args, *(word.value for word in call.keywords)]
        bounds = map(self.names.of_name, given)
        given += [bound[1] for bound in bounds if bound and bound[0] == "value"]
        known = [value for value in given if not isinstance(value, ast.BoolOp | ast.IfExp)]  # `seed or time.time()`
        inner = [node for value in known for node in ast.walk(value)]
        if any(calls(node, CLOCKS) for node in inner):
            return CLOCK
        entropy = any(calls(node, ENTROPIES) for node in inner)
        device = any(isinstance(node, ast.Constant) and str(node.value).startswith("/dev/") for node in inner)
        return ENTROPY if entropy or device else None

    def is_lock(self, held: ast.expr) -> bool:
        """By its name, `self.lock` or `total.get_lock()`, or by what it was bound to."""
        name = last_name(held.func if isinstance(held, ast.Call) else held).lower()
        bound = self.names.of_name(held)
        made = last_name(bound[1].func).lower() if bound and isinstance(bound[1], ast.Call) else ""
        return any(word in f"{name} {made}" for word in LOCKS)

    def releases(self, line: ast.stmt) -> bool:
        """`lock.release()`."""
        return isinstance(line, ast.Expr) and is_call_of(line.value, "release") and self.is_lock(line.value.func.value)

    def sums(self, held: ast.stmt, body: list[ast.stmt]) -> Iterator[Finding]:
        """The lines in it that add up something that may be no whole number, or append to what nobody sorts."""
        if isinstance(self.names.scopes[held], ast.Module):
            return
        for node in (inner for line in body for inner in flat(line)):
            added, what = None, LOCKED
            match node:
                case ast.AugAssign(op=ast.Add() | ast.Sub() | ast.Mult()):
                    added = None if is_whole(node.value) else node.value
                case ast.Assign(targets=[target], value=ast.BinOp(op=ast.Add() | ast.Mult(), left=left, right=added)):
                    added = added if ast.unparse(left) == ast.unparse(target) and not is_whole(added) else None
                case ast.Expr(value=ast.Call(func=ast.Attribute(attr="add_"))):
                    added = node
                case ast.Expr(value=ast.Call(func=ast.Attribute(attr="append", value=ast.Name() as filled))):
                    added, what = (node, ARRIVAL) if self.is_used_in_order(filled.id) else (None, what)
            if added is not None:
                yield node.lineno, what

    def is_used_in_order(self, name: str) -> bool:
        """Whether somewhere in the file something goes through what has this name, and nothing sorts it."""
        used = False
        for node in self.nodes:
            match node:
                case ast.Call(func=ast.Attribute(attr="sort" | "pop" | "popleft", value=receiver)):
                    if last_name(receiver) == name:
                        return False
                case ast.Call(args=[first, *_]) if last_name(first) == name:
                    if calls(node, {*NO_ORDER, "dict"} - {"len"}):
                        return False
                    used = used or calls(node, IN_ORDER | {"sum", "mean", "tensor", "fsum"})
                case ast.For() | ast.comprehension() if last_name(node.iter) == name:
                    used = True
        return used

    def takes_from_many(self) -> Iterator[int]:
        """The lines that take from a queue into which several threads or processes put."""
        started = [node for node in self.nodes if calls(node, WORKERS) and self.is_in_loop(node)]
        targets = {last_name(word.value) for node in started for word in node.keywords if word.arg == "target"}
        workers = [self.names.functions[name] for name in targets if name in self.names.functions]
        for worker in workers:
            filled = {last_name(node.func.value) for node in ast.walk(worker) if is_call_of(node, "put")}
            drained = {last_name(node.func.value) for node in ast.walk(worker) if is_call_of(node, "get")}
            queues = filled - drained
            for node in self.nodes:
                taken = is_call_of(node, "get") and last_name(node.func.value) in queues and not node.args
                if taken and not self.is_kept_and_sorted(node):
                    yield node.lineno

    def is_kept_and_sorted(self, node: ast.AST) -> bool:
        """Whether it goes, with others, into a variable that is sorted below: `parts = dict(queue.get() for …)`."""
        while not isinstance(node, ast.stmt):
            node = self.parents[node]
        return isinstance(node, ast.Assign) and any(map(self.is_sorted_below, node.targets))

    def is_in_loop(self, node: ast.AST) -> bool:
        while node := self.parents.get(node):
            if isinstance(node, ast.For | ast.While | ast.ListComp | ast.GeneratorExp):
                return True
            if isinstance(node, Scope):
                return False
        return False


def flat(statement: ast.stmt) -> Iterator[ast.stmt]:
    """The statement and those inside it, but for functions and classes."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return
    yield statement
    for inner in ast.iter_child_nodes(statement):
        if isinstance(inner, ast.stmt):
            yield from flat(inner)
        elif isinstance(inner, ast.ExceptHandler):
            for line in inner.body:
                yield from flat(line)


def is_whole(node: ast.AST) -> bool:
    """A whole number, which can be added in any order."""
    match node:
        case ast.Constant():
            return isinstance(node.value, int)
        case ast.Call():
            return last_name(node.func) in {"len", "int", "size", "numel", "count"}
        case ast.BinOp():
            return not isinstance(node.op, ast.Div) and is_whole(node.left) and is_whole(node.right)
    return False


def is_call_of(node: ast.AST, method: str) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == method
