"""Talk goes to stderr, data to stdout; numbers read as people say them."""

import json
import logging
import os

import pytest

from builder import console


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (2_600_000_000, "2.6 GB"), (10**13, "10000.0 GB")]
)
def test_sizes_read_as_people_say_them(count, said):
    assert console.size(count) == said


def test_data_goes_to_stdout_and_talk_does_not(capsys):
    console.print_json({"a": 1})
    console.print_table(("image", "tag"), [("x", "[1.0]")])
    printed = capsys.readouterr()
    assert json.loads(printed.out.partition("}")[0] + "}") == {"a": 1}
    assert "[1.0]" in printed.out and printed.err == ""


def test_a_step_ends_as_one_line_with_its_seconds(caplog):
    caplog.set_level(logging.INFO)
    with console.step("fetching", total=2) as advance:
        advance()
        advance()
    [said] = caplog.messages
    assert said.startswith("fetching: ") and said.endswith(" s")


def test_a_step_that_fails_claims_no_end(caplog):
    caplog.set_level(logging.INFO)
    with pytest.raises(ValueError), console.step("fetching"):
        raise ValueError
    assert caplog.messages == []


def test_what_modules_log_is_one_line_on_stderr_each_once_it_is_to_be_seen(capsys, monkeypatch):
    """Control: before, nothing is printed; and other libraries' messages are not."""
    logger = logging.getLogger("builder")
    monkeypatch.setattr(logger, "handlers", [])
    monkeypatch.setattr(logger, "level", logging.NOTSET)
    logging.getLogger("builder.oci.store").info("unseen")
    console.show_log()
    console.show_log()
    logging.getLogger("builder.oci.store").info("100% [bold]a b[/bold] {x}")
    logging.getLogger("another").info("unseen")
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "100% [bold]a b[/bold] {x}\n")


@pytest.mark.parametrize("size", ["²", "x", "-1", ""])
def test_a_width_that_is_no_number_is_forgotten(monkeypatch, size):
    """Control: rich took `²` for a number, and every line was a traceback."""
    monkeypatch.setenv("COLUMNS", size)
    console.forget_odd_sizes()
    assert "COLUMNS" not in os.environ


def test_a_width_that_is_one_is_kept(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    console.forget_odd_sizes()
    assert os.environ["COLUMNS"] == "40"
