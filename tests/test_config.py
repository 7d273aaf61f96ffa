"""The configuration: the example documents every key, faults are told all at once, secrets are references."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

import pytest
from inbox_agent.config import Config, Secret, load_config
from inbox_agent.errors import AuthenticationError, ConfigError
from inbox_agent.offers import OfferFile, load_offers
from inbox_agent.toml_model import Section, load
from pydantic import ValidationError

EXAMPLE = Path(__file__).parent.parent / "config.example.toml"


def uncommented(text: str) -> str:
    """The example with every key that it shows."""
    return re.sub(r"(?m)^#(?=[a-z_]+ = |\[)", "", text)


def write(folder: Path, text: str) -> Path:
    path = folder / "config.toml"
    path.write_text(text, encoding="utf-8")
    return path


def sections(model: type[Section]) -> set[tuple[str, str]]:
    """Every (section, key) of the model."""
    found = set()
    for name, field in model.model_fields.items():
        found.add((model.__name__, name))
        for inner in _inner(field.annotation):
            found |= sections(inner)
    return found


def _inner(annotation: Any) -> list[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [inner for part in getattr(annotation, "__args__", ()) for inner in _inner(part)]


def test_the_example_loads_as_it_stands():
    config = load_config(EXAMPLE)

    assert config.replies.mode == "draft"
    assert config.mailboxes[0].imap.port == 993


def test_the_example_shows_every_key_of_the_model():
    text = EXAMPLE.read_text(encoding="utf-8")
    keys = {name for section, name in sections(Config) if section != "Secret"}

    missing = {key for key in keys if not re.search(rf"(?m)^#?\[*(?:[a-z.]*\.)?{key}(?:\]| = )", text)}

    assert missing == set()


def test_the_example_with_every_line_uncommented_is_valid(tmp_path):
    # password and oauth exclude each other: the example shows both.
    text = uncommented(EXAMPLE.read_text(encoding="utf-8"))
    text = text.replace('password = { credential = "imap-password" }\n', "", 1)

    config = load_config(write(tmp_path, text))

    assert config.mailboxes[0].imap.oauth is not None


def test_a_default_that_the_example_shows_is_the_default():
    shown = load_config_of(uncommented(EXAMPLE.read_text(encoding="utf-8")))
    plain = load_config(EXAMPLE)

    for section in ("replies", "digest", "reader", "retention"):
        for name in type(getattr(plain, section)).model_fields:
            if name in {"answer_since", "trusted_authserv_id"}:
                continue
            assert getattr(getattr(shown, section), name) == getattr(getattr(plain, section), name), name


def load_config_of(text: str) -> Config:
    with tempfile.TemporaryDirectory() as folder:
        text = text.replace('password = { credential = "imap-password" }\n', "", 1)
        return load_config(write(Path(folder), text))


def test_every_fault_is_told_at_once_with_file_key_value_and_remedy(tmp_path):
    text = EXAMPLE.read_text(encoding="utf-8")
    text = text.replace('mode = "draft"', 'mode = "sende"')
    text = text.replace("[digest]", '[digest]\nat = "25:00"\ndayz = ["mon"]')
    text = text.replace('host = "smtp.example.org"', 'host = "smtp.example.org"\nport = 99999')

    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path, text))

    said = str(caught.value).splitlines()
    assert len(said) == 4
    assert all(line.startswith(str(tmp_path / "config.toml")) for line in said)
    assert any(
        "replies.mode" in line and '"sende" is none of its values. Write "draft", "send" or "off".' in line
        for line in said
    )
    assert any("digest.at" in line and "25:00" in line and 'Write it as "18:00"' in line for line in said)
    assert any('digest.dayz: unknown key. Did you mean "days"?' in line for line in said)
    assert any("smtp.port" in line and "99999" in line for line in said)


def test_a_password_in_the_file_is_refused_and_not_repeated(tmp_path):
    text = EXAMPLE.read_text(encoding="utf-8").replace('{ credential = "imap-password" }', '"hunter2"')

    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path, text))

    assert "hunter2" not in str(caught.value)
    assert "mailboxes[0].imap.password" in str(caught.value)
    assert "credential" in str(caught.value)


def test_clear_text_to_another_machine_is_refused(tmp_path):
    text = EXAMPLE.read_text(encoding="utf-8").replace('#tls = "implicit"', 'tls = "none"', 1)

    with pytest.raises(ConfigError, match="to another machine"):
        load_config(write(tmp_path, text))


def test_the_digest_cannot_be_due_at_an_hour_that_the_clocks_skip(tmp_path):
    text = EXAMPLE.read_text(encoding="utf-8").replace('#at = "18:00"', 'at = "02:30"')

    with pytest.raises(ConfigError, match="02:30"):
        load_config(write(tmp_path, text))


@pytest.mark.parametrize("at", ['"18:00:30"', "18:00:30", '"18:00+02:00"'])
def test_the_digest_is_due_at_a_minute_of_the_association_s_day(tmp_path, at):
    text = EXAMPLE.read_text(encoding="utf-8").replace('#at = "18:00"', f"at = {at}")

    with pytest.raises(ConfigError, match=r'digest\.at: .* Write it as "18:00"'):
        load_config(write(tmp_path, text))


@pytest.mark.parametrize("section", ["digest", "alerts"])
def test_an_address_that_no_mail_can_be_written_to_is_refused(tmp_path, section):
    """Nothing else notices, until the first digest or alert."""
    text = EXAMPLE.read_text(encoding="utf-8") + "\n[alerts]\nto = []\n"
    text = re.sub(rf"(?m)^\[{section}\]\nto = .*", f'[{section}]\nto = ["hélène@example.org"]', text)

    with pytest.raises(ConfigError, match=rf'{section}\.to\[0\]: "hélène@example.org" cannot be written to'):
        load_config(write(tmp_path, text))


def test_a_home_of_nobody_is_a_fault_that_names_its_key(tmp_path):
    text = re.sub("(?m)^state = .*", 'state = "~nobody-of-that-name/state"', EXAMPLE.read_text(encoding="utf-8"))

    with pytest.raises(ConfigError, match=r"state: .* Write the whole path"):
        load_config(write(tmp_path, text))


def test_a_command_of_no_words_is_a_fault():
    with pytest.raises(ValidationError, match="command"):
        Secret(command=[])


def test_sending_without_a_submission_server_is_a_fault(tmp_path):
    text = re.sub(r"(?s)\[smtp\].*?\n\n", "", EXAMPLE.read_text(encoding="utf-8"))
    text = text.replace('mode = "draft"', 'mode = "send"')

    with pytest.raises(ConfigError, match="there is no \\[smtp\\]"):
        load_config(write(tmp_path, text))


def test_alerts_by_mail_without_a_submission_server_are_a_fault(tmp_path):
    text = re.sub(r"(?s)\[smtp\].*?\n\[", "[", EXAMPLE.read_text(encoding="utf-8"))

    with pytest.raises(ConfigError, match=r"alerts\.to is set and there is no \[smtp\]"):
        load_config(write(tmp_path, text + '\n[alerts]\nto = ["admin@example.org"]\n'))


def test_relative_paths_are_relative_to_the_file(tmp_path):
    text = EXAMPLE.read_text(encoding="utf-8").replace('state = "/var/lib/inbox-agent"', 'state = "here"')

    assert load_config(write(tmp_path, text)).state == tmp_path / "here"


def test_no_file_is_one_clear_fault(tmp_path):
    with pytest.raises(ConfigError, match="there is no such file"):
        load_config(tmp_path / "nowhere.toml")


def test_broken_toml_names_its_line(tmp_path):
    with pytest.raises(ConfigError, match="line 2: is no TOML: Invalid statement"):
        load_config(write(tmp_path, "state = 1\n= 2\n"))


WRONG = (
    "3",
    "-1",
    "1.5",
    "true",
    '"x"',
    '""',
    "[]",
    "[3]",
    '["x"]',
    "{ a = 1 }",
    "2024-02-15",
    "18:00:00",
    "999999999",
)


def models(model: type[Section]) -> set[type[Section]]:
    return {model}.union(
        *(models(inner) for field in model.model_fields.values() for inner in _inner(field.annotation))
    )


@pytest.mark.parametrize("model", sorted(models(Config) | {OfferFile}, key=lambda model: model.__name__))
def test_whatever_is_written_a_fault_is_said_in_our_words(tmp_path, model):
    told = []
    for key in model.model_fields:
        for wrong in WRONG:
            try:
                load(write(tmp_path, f"{key} = {wrong}\n"), model)
            except ConfigError as error:
                told += error.faults

    assert told
    for fault in told:
        assert not re.search(r"(?i)input|value error|valid|instance|what belongs here|something else", str(fault)), (
            fault
        )
        assert fault.problem.endswith(".") is False
        assert fault.remedy.endswith((".", "?")), fault


def test_a_fault_of_an_offer_names_the_offer_that_ships(tmp_path):
    (tmp_path / "offers").mkdir()
    (tmp_path / "offers" / "a.toml").write_text('id = "a"\ntitle = "A"\n', encoding="utf-8")

    with pytest.raises(
        ConfigError, match=r"addressed_to: is missing. .*rules/offers/charge-de-mission-2024.toml shows"
    ):
        load_offers(tmp_path)


def test_one_mailbox_without_its_second_brackets_is_told_so(tmp_path):
    text = EXAMPLE.read_text(encoding="utf-8").replace("[[mailboxes]]", "[mailboxes]")

    with pytest.raises(ConfigError, match=re.escape("Write [[mailboxes]], with two brackets.")):
        load_config(write(tmp_path, text))


def test_a_secret_file_that_others_can_read_is_refused(tmp_path):
    path = tmp_path / "secret"
    path.write_text("s3cret\n")
    path.chmod(0o644)

    with pytest.raises(AuthenticationError, match="chmod 600"):
        Secret(file=path).read()

    path.chmod(0o600)
    assert Secret(file=path).read() == "s3cret"


def test_a_credential_that_is_not_there_names_the_unit_and_what_to_write(tmp_path, monkeypatch):
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    with pytest.raises(AuthenticationError, match=r"LoadCredential=smtp-password:FILE .*inbox-agent.service"):
        Secret(credential="smtp-password").read()

    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    with pytest.raises(AuthenticationError, match=r"systemd-run .*LoadCredential=smtp-password:inbox-agent\.smtp-pass"):
        Secret(credential="smtp-password").read()


def test_a_secret_comes_from_a_credential_the_environment_or_a_command(tmp_path, monkeypatch):
    (tmp_path / "imap-password").write_text("one\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("IMAP_PASSWORD", "two")

    assert Secret(credential="imap-password").read() == "one"
    assert Secret(env="IMAP_PASSWORD").read() == "two"
    assert Secret(command=["printf", "three\n"]).read() == "three"


@pytest.mark.parametrize(
    "secret",
    [
        Secret(credential="absent"),
        Secret(env="NO_SUCH_VARIABLE_HERE"),
        Secret(command=["false"]),
        Secret(command=["printf", "\\377"]),
        Secret(file=Path("/nowhere")),
    ],
)
def test_a_secret_that_is_not_there_is_an_authentication_error_that_names_its_place(secret):
    with pytest.raises(AuthenticationError, match=r"absent|NO_SUCH_VARIABLE_HERE|false|printf|/nowhere"):
        secret.read()
