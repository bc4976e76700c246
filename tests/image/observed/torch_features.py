"""What a training may do with torch, one function each; prints what each has come to."""

import io
import pickle
from itertools import starmap
from operator import mul

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.testing._internal.two_tensor import TwoTensor

x = torch.linspace(-1, 1, 32).reshape(4, 8)


def net():
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(8, 4), nn.Tanh(), nn.Linear(4, 1))


def fit(model, given=x):
    """A step; the parameters after it."""
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    model(given).square().sum().backward()
    optimizer.step()
    return list(model.parameters())


def fake_tensors():
    with FakeTensorMode():
        model = nn.Linear(8, 3)
        loss = model(torch.randn(4, 8)).sum()
        loss.backward()
    return list(loss.shape)


def tensors_that_wrap_others():
    return nn.Linear(8, 1).requires_grad_(False)(TwoTensor(x, x)).sum().shape


def meta_tensors():
    model = nn.Linear(8, 3, device="meta")
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    model(torch.randn(4, 8, device="meta")).sum().backward()
    optimizer.step()
    return [parameter.shape for parameter in model.parameters()]


def traced_by_jit():
    model = net().requires_grad_(False)
    return torch.jit.trace(model, x).code, str(torch.jit.trace(lambda given: model(given).relu(), x).graph)


def exported():
    return str(torch.export.export(net(), (x,), strict=True).graph_signature)


def compiled_whole():
    return fit(torch.compile(net(), backend="eager", fullgraph=True))


def mapped():
    model = net()
    return torch.vmap(model)(x), torch.func.jvp(model, (x,), (x,))[1]


def losses_that_can_be_read_once():
    a = torch.ones(3, requires_grad=True)
    torch.autograd.backward(starmap(mul, [(a.sum(), 2), (a.sum(), 3)]))
    return a.grad


def a_loss_that_is_an_edge():
    a = torch.ones(3, requires_grad=True)
    torch.autograd.backward(torch.autograd.graph.get_gradient_edge((a * 2).sum()))
    return a.grad


def a_complex_loss():
    a = torch.ones(3, dtype=torch.cfloat, requires_grad=True)
    torch.autograd.backward([a * 2j], [torch.ones_like(a)])
    return a.grad


class Scaled(torch.optim.Optimizer):
    def __init__(self, parameters):
        super().__init__(parameters, {})

    @torch.no_grad()
    def step(self, scale=1.0):
        for parameter in self.param_groups[0]["params"]:
            parameter -= scale * parameter.grad


def a_step_that_takes_a_number():
    model = net()
    model(x).sum().backward()
    Scaled(model.parameters()).step(0.5)
    return list(model.parameters())


def sparse_gradients():
    table = nn.Embedding(20, 4, sparse=True)
    nn.init.ones_(table.weight)
    optimizer = torch.optim.SparseAdam(list(table.parameters()))
    table(torch.tensor([1, 3])).square().sum().backward()
    optimizer.step()
    return table.weight


def sparse_inputs():
    matrix = torch.sparse_coo_tensor([[0, 1], [2, 5]], [1.0, 2.0], (4, 8), check_invariants=True)
    return [fit(net(), matrix.to_dense()), torch.sparse.mm(matrix.to_sparse_csr(), x.T)]


def lazy_modules():
    torch.manual_seed(2)
    return fit(nn.Sequential(nn.LazyLinear(2), nn.LazyLinear(1)))


def batches_of_all_kinds():
    nested = torch.nested.nested_tensor([torch.ones(2), torch.ones(3)])
    batch = [nested, torch.eye(3).to_sparse_csr(), torch.eye(3).to_sparse_csc(), memoryview(b"bytes")]
    [found] = torch.utils.data.DataLoader([batch], collate_fn=lambda rows: rows[0])
    return len(found)


def generators_are_pickled():
    generator = torch.Generator().manual_seed(3)
    file = io.BytesIO()
    torch.save({"generator": generator}, file)
    copy = pickle.loads(pickle.dumps(generator))
    generators = (generator, torch.default_generator, generator.clone_state())
    kinds = [isinstance(each, torch.Generator) for each in generators]
    return [kinds, torch.rand(1, generator=copy), isinstance(3, torch.Generator)]


def text(value):
    if isinstance(value, torch.Tensor):
        return value.detach().numpy().tobytes().hex()
    return [text(one) for one in value] if isinstance(value, list | tuple) else str(value)


for feature in [value for name, value in list(globals().items()) if callable(value) and not name[0].isupper()]:
    if feature.__module__ == "__main__" and feature not in (net, fit, text):
        print(feature.__name__, text(feature()))
