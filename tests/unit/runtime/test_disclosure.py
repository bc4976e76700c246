"""No record or journal holds a value that may be secret, in clear or so that it could be guessed."""

import hashlib
import string

import pytest
from seedbed import disclosure

PIN = "4711"
SECRETS = {
    "LANGCHAIN_API_KEY": "sk-secret-1",
    "NVIDIA_API_KEY": "nvapi-secret-2",
    "TF_TOKEN_app_example_org": "secret-3",
    "LOCAL_DB_PASSWORD": "secret-4",
    "PYTHON_KEYRING_SECRET": "secret-5",
    "DATABASE_URL": "postgres://me:secret-6@db/x",
    "HTTPS_PROXY": "http://me:secret-7@proxy:3128",
    "MYSQL_PWD": "secret-8",
    "SEEDBED_PASSWORD": "secret-9",
    "TORCH_HUB_AUTH": "secret-10",
    "TZ_PIN": PIN,
}
TRAIN = "import os; print('done')"


@pytest.mark.parametrize("name", SECRETS)
def test_what_is_not_listed_is_hidden(name: str) -> None:
    shown = disclosure.disclosed(disclosure.with_key({name: SECRETS[name]}))
    assert shown[name].startswith("hidden:") and "secret" not in shown[name]


def test_what_bears_on_numbers_is_shown() -> None:
    listed = {"OMP_NUM_THREADS": "4", "NCCL_ALGO": "Ring", "TZ": "UTC", "SEEDBED_SEED": "7", "KERAS_BACKEND": "jax"}
    assert disclosure.disclosed(listed) == listed


def test_what_a_launcher_of_ranks_makes_up_for_each_start_is_left_out() -> None:
    """Two runs would seem to differ in their setups: it is another port each time."""
    told = {"MASTER_PORT": "29500", "TORCHELASTIC_RUN_ID": "x", "PMIX_NAMESPACE": "x", "OMPI_MCA_orte_hnp_uri": "x"}
    assert disclosure.disclosed({**told, "RANK": "1", "PMIX_RANK": "1"}) == {"PMIX_RANK": "1", "RANK": "1"}


def test_no_name_is_listed_that_looks_like_that_of_a_secret() -> None:
    words = ("KEY", "TOKEN", "SECRET", "PASS", "PWD", "CREDENTIAL", "AUTH", "URL", "PROXY")
    assert not [name for name in disclosure.SHOWN for word in words if word in name]


def test_a_short_value_cannot_be_found_from_what_is_kept() -> None:
    kept = disclosure.hidden(PIN, "a key that is not written down")
    guesses = (f"{number:04}" for number in range(10_000))
    digits = {hashlib.sha256(guess.encode()).hexdigest()[:12] for guess in guesses}
    assert kept.split(":")[2] not in digits
    assert disclosure.hidden(PIN, "another key") != kept


def test_hidden_values_are_compared_under_one_key_and_no_other() -> None:
    a, b, other = (disclosure.hidden(value, key) for value, key in (("x", "k"), ("y", "k"), ("x", "l")))
    assert a != b and disclosure.comparable(a, b)
    assert not disclosure.comparable(a, other)
    assert not disclosure.comparable(disclosure.HIDDEN, disclosure.HIDDEN)
    assert disclosure.comparable("4", "8")


@pytest.mark.parametrize("command", ["run --record", "verify --keep", "trace --keep"])
def test_no_secret_is_in_what_a_command_writes(seedbed, tmp_path, command: str) -> None:
    (tmp_path / "script.py").write_text(TRAIN)
    kept = tmp_path / "kept"
    done = seedbed(*command.split(), kept, "--", "python", "script.py", **SECRETS)
    assert done.returncode == 0, done.stderr
    written = {path: path.read_bytes() for path in kept.rglob("*") if path.is_file()}
    assert written
    for secret in SECRETS.values():
        if not secret.strip(string.digits):
            continue  # four digits may stand in any hash
        assert not [path for path, data in written.items() if secret.encode() in data]


def test_a_variable_that_differs_in_one_verification_is_named(seedbed, tmp_path) -> None:
    (tmp_path / "script.py").write_text("import os; print(os.environ['NOISE'])")
    command = ["sh", "-c", "NOISE=$$ exec python script.py"]
    done = seedbed("trace", "--", *command)
    assert "the environment variable NOISE is not the same in both runs (its value is not kept)" in done.stdout
