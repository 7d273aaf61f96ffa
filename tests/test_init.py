"""`init` writes a configuration that `check` accepts, and never a password into it."""

from __future__ import annotations

import stat

import pytest
from inbox_agent.cli import app
from inbox_agent.config import load_config
from inbox_agent.errors import AgentError
from inbox_agent.offers import load_offers
from typer.testing import CliRunner

ANSWERS = [
    "Villes au Carré",
    "Directrice@Asso.example",
    "",  # login
    "",  # IMAP
    "",  # SMTP
    "n",  # STARTTLS
    'mot de "passe"',
    "",  # archive
    "",  # state
    "directrice@asso.example, secretaire@asso.example",
    "Chargé·e de mission « urbaine »",
    "secretaire@asso.example",
    "2027-02-15",
]


@pytest.mark.filterwarnings("ignore::getpass.GetPassWarning")
def test_the_answers_make_a_configuration_and_an_offer_that_load(tmp_path):
    path = tmp_path / "config.toml"
    ran = CliRunner().invoke(app, ["init", str(path)], input="\n".join(ANSWERS) + "\n")

    assert ran.exit_code == 0, ran.output
    config = load_config(path)
    (offer,) = load_offers(config.rules_folder)
    assert config.replies.mode == "draft"
    assert (config.smtp.port, config.smtp.tls, config.smtp.host) == (587, "starttls", "smtp.asso.example")
    assert config.digest.to == ["directrice@asso.example", "secretaire@asso.example"]
    assert (offer.id, offer.title) == ("charge-de-mission-urbaine-2027", "Chargé·e de mission « urbaine »")
    assert offer.in_copy == ("secretaire@asso.example",)


@pytest.mark.filterwarnings("ignore::getpass.GetPassWarning")
def test_the_password_is_in_a_file_of_its_own_that_only_its_owner_reads(tmp_path):
    path = tmp_path / "config.toml"
    CliRunner().invoke(app, ["init", str(path)], input="\n".join(ANSWERS) + "\n")

    assert "passe" not in path.read_text(encoding="utf-8")
    secret = tmp_path / "imap-password"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert load_config(path).mailboxes[0].imap.password.read() == 'mot de "passe"'


def test_nothing_is_overwritten(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text("mine")
    ran = CliRunner().invoke(app, ["init", str(path)])

    assert isinstance(ran.exception, AgentError)
    assert "is not overwritten" in str(ran.exception)
    assert path.read_text() == "mine"
