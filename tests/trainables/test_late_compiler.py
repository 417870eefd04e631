"""In processes of their own: torch's compiler is imported when it is needed, and changes no number."""

import json
import subprocess
import sys
import textwrap

import pytest

LATE = "from trainables.late_compiler import import_compiler_late; import_compiler_late()"

FORKS = """
import json, os, sys, traceback
import torch, torchvision
for line in sys.stdin:
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(write, 1)
        status = 0
        try:
            exec(json.loads(line), {})
        except BaseException:
            traceback.print_exc(file=sys.stdout)
            status = 1
        sys.stdout.flush()
        os._exit(status)
    os.close(write)
    with os.fdopen(read, encoding="utf-8") as pipe:
        said = pipe.read()
    print(json.dumps([os.waitpid(child, 0)[1], said]), flush=True)
"""
"""Runs every program that it reads in a fork of a process that has imported torch, and answers what it said."""

TRAINED = """
import sys
import torch
import torchvision
torch.manual_seed(0)
model = torchvision.models.mobilenet_v2(num_classes=3)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
pictures, labels = torch.rand(4, 3, 32, 32), torch.tensor([0, 1, 2, 0])
for _ in range(2):
    optimizer.zero_grad(set_to_none=True)
    torch.nn.functional.cross_entropy(model(pictures), labels).backward()
    optimizer.step()
print(float(sum(p.double().abs().sum() for p in model.parameters())), len(optimizer.state_dict()["state"]))
spared = torch.compiler.disable(recursive=False)(len)
print(torch.compiler.disable(len)([1]) == spared([1]) == torch._dynamo.disable(fn=len)([1]) == 1)
print("torch._dynamo.eval_frame" in sys.modules)
"""


def said(*programs):
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(map(textwrap.dedent, programs))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def late_said():
    """What programs say in a process whose torch has no compiler yet."""
    parent = subprocess.Popen(
        [sys.executable, "-c", f"{LATE}\n{FORKS}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )

    def ask(*programs):
        print(json.dumps("\n".join(map(textwrap.dedent, programs))), file=parent.stdin, flush=True)
        status, words = json.loads(parent.stdout.readline())
        assert status == 0, words
        return words.splitlines()

    with parent:
        yield ask
        parent.stdin.close()


def test_a_training_needs_no_compiler_and_ends_with_the_same_weights(late_said):
    late, usual = late_said(TRAINED), said(TRAINED)
    assert late[0] == usual[0]
    assert late[1:] == ["True", "False"]
    assert usual[1:] == ["True", "True"]


@pytest.mark.parametrize(
    "program",
    [
        "print(torch.compile(lambda x: 2 * x, backend='eager')(torch.ones(2)).tolist() == [2.0, 2.0])",
        """
        model, ones = torch.nn.Linear(2, 2), torch.ones(1, 2)
        print(torch.equal(torch.export.export(model, (ones,)).module()(ones), model(ones)))
        """,
        "import torch._dynamo.config as found; print(found is torch._dynamo.config)",
        "from torch._dynamo.utils import is_compile_supported as asked; print(asked('cpu') in (True, False))",
        # What it imports itself runs once, whatever is imported from it first.
        """
        from torch._dynamo.exc import Unsupported
        from torch._dynamo import symbolic_convert
        print(symbolic_convert.Unsupported is Unsupported and torch._dynamo.exc.__spec__.origin.endswith("exc.py"))
        """,
        "import torch._dynamo.backends.debugging as found; print(found.__spec__.origin.endswith('debugging.py'))",
    ],
)
def test_what_compiles_gets_the_compiler(program, late_said):
    before = "import sys, torch, torchvision"
    after = "print('torch._dynamo.eval_frame' in sys.modules)"
    assert late_said(before, program, after) == ["True", "True"]


def test_where_the_compiler_is_there_already_nothing_happens():
    program = "import sys, torch._dynamo; before = dict(sys.modules)"
    assert said(program, LATE, "print(all(sys.modules[name] is one for name, one in before.items()))") == [
        "True"
    ]


def test_the_stand_in_can_be_looked_up_and_pickled_by_its_name(late_said):
    program = """
    import importlib.util, pickle, sys, torch
    print(importlib.util.find_spec("torch._dynamo").name, importlib.util.find_spec("torch._dynamo.utils").name)
    print(pickle.loads(pickle.dumps(torch._dynamo)) is sys.modules["torch._dynamo"])
    """
    assert late_said(program) == ["torch._dynamo torch._dynamo.utils", "True"]


def test_what_was_disabled_before_the_compiler_came_stays_disabled(late_said):
    program = """
    import torch
    seen = []
    hidden = torch.compiler.disable(lambda x: seen.append(torch.compiler.is_compiling()) or 2 * x)
    hidden(torch.ones(1))
    found = torch.compile(lambda x: hidden(x) + 1, backend="eager")(torch.ones(1))
    print(float(found), seen)
    """
    assert late_said(program) == ["3.0 [False, False]"]
