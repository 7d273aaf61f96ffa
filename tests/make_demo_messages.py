"""Writes inbox_agent/demo_messages/*.eml, the dozen mails of `inbox-agent demo`. Run it after a change here.

The people are invented. The files ship with the program, so that the demo needs no maker of documents.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from making import docx, eml, pdf, scanned_pdf

PARIS = ZoneInfo("Europe/Paris")
TARGET = Path(__file__).parent.parent / "inbox_agent" / "demo_messages"
DIRECTRICE = "Marie-Noëlle Pinson <marienoelle.pinson@villesaucarre.org>"
SECRETARY = "Hélène Dugué <helene.dugue@villesaucarre.org>"


def at(day: int, hour: int, minute: int) -> datetime:
    return datetime(2024, 2, day, hour, minute, 7, tzinfo=PARIS)


def cv(name: str, street: str, mail: str, *jobs: str, studies: str) -> list[str]:
    return [
        name,
        street,
        f"06 12 34 56 78 - {mail}",
        "",
        "EXPÉRIENCE PROFESSIONNELLE",
        *jobs,
        "",
        "FORMATION",
        studies,
        "",
        "COMPÉTENCES",
        "Gestion de projet, animation de réunions, diagnostic territorial",
        "Langues : anglais courant, espagnol scolaire",
        "Permis B",
        "",
        "CENTRES D'INTÉRÊT",
        "Randonnée, cinéma documentaire, bénévolat dans une épicerie solidaire",
    ]


def letter(name: str, town: str, *arguments: str) -> list[str]:
    return [
        name,
        f"{town}, le 10 février 2024",
        "Objet : candidature au poste de chargé·e de mission questions urbaines et territoriales",
        "Madame la Directrice,",
        *arguments,
        "Je me tiens à votre disposition pour un entretien et vous prie d'agréer, Madame la Directrice,",
        "l'expression de mes salutations distinguées.",
        name,
    ]


CLAIRE = cv(
    "Claire Lefèvre",
    "8 rue Nationale, 37000 Tours",
    "claire.lefevre@example.org",
    "2020 - 2024 : chargée de mission politique de la ville, Tours Métropole",
    "2017 - 2020 : assistante d'études, agence d'urbanisme de l'agglomération orléanaise",
    studies="2017 : master Urbanisme et aménagement, université de Tours",
)
CLAIRE_LETTER = letter(
    "Claire Lefèvre",
    "Tours",
    "Votre offre a retenu toute mon attention. Depuis quatre ans j'accompagne des conseils citoyens et je",
    "coordonne un contrat de ville : je souhaite aujourd'hui mettre cette expérience au service du réseau",
    "régional que vous animez.",
    "Rigoureuse et à l'aise à l'oral, j'ai conçu douze journées d'échanges entre élus et habitants. Votre",
    "centre de ressources est pour moi le lieu où ces pratiques prennent tout leur sens, et je serais",
    "heureuse de contribuer à vos travaux sur le renouvellement urbain.",
)
KARIM = cv(
    "Karim Benali",
    "Blois",
    "karim.benali@example.net",
    "2021 - 2024 : agent de développement local, communauté d'agglomération de Blois",
    "2019 - 2021 : médiateur, centre social Mirabeau",
    studies="2019 : licence professionnelle Développement des territoires, Orléans",
)
NADIA = cv(
    "Nadia Roussel",
    "45000 Orléans",
    "nadia.roussel@example.com",
    "2018 - 2024 : cheffe de projet renouvellement urbain, ville d'Orléans",
    studies="2018 : diplôme de Sciences Po Rennes",
)
NADIA_LETTER = letter(
    "Nadia Roussel",
    "Orléans",
    "Cheffe de projet depuis six ans, je connais les quartiers de votre région et ceux qui les habitent.",
    "Je souhaite rejoindre votre équipe pour transmettre cette expérience et continuer à apprendre des autres",
    "collectivités. Ma connaissance des financements de l'ANRU et mon goût de l'animation vous seront utiles.",
)
THOMAS = cv(
    "Thomas Moreau",
    "Bourges",
    "thomas.moreau@example.org",
    "2022 - 2024 : chargé d'études habitat, département du Cher",
    studies="2021 : master Géographie, université de Tours",
)


def mails() -> dict[str, bytes]:
    complete = eml(
        from_="Claire Lefèvre <claire.lefevre@example.org>",
        to=DIRECTRICE,
        cc=SECRETARY,
        subject="Candidature au poste de chargée de mission questions urbaines et territoriales",
        text="Madame la Directrice,\n\nVeuillez trouver ci-joint mon CV et ma lettre de motivation pour le poste "
        "de chargée de mission.\n\nBien cordialement,\nClaire Lefèvre\n06 12 34 56 78\n",
        date=at(6, 9, 12),
        received=at(6, 9, 12),
        message_id="<demo-01@example.org>",
        attachments=[("CV Claire Lefèvre.pdf", pdf(CLAIRE)), ("Lettre de motivation.docx", docx(CLAIRE_LETTER))],
    )
    return {
        "01-complete": complete,
        "02-letter-in-the-body": eml(
            from_="karim benali <karim.benali@example.net>",
            to=DIRECTRICE,
            cc=None,
            subject="chargé de mission politique de la ville",
            text="Bonjour Madame,\n\nJe me permets de vous adresser ma candidature au poste de chargé de mission. "
            "Agent de développement local depuis trois ans, j'anime un réseau de vingt associations et je suis "
            "convaincu que l'échange entre territoires fait avancer les projets. Votre structure m'attire par sa "
            "double culture, urbaine et rurale.\n\nJe souhaite mettre à votre service ma connaissance des "
            "quartiers prioritaires, mon goût de l'écriture et mon expérience de l'animation de groupes. "
            "Disponible en avril, je serais heureux de vous rencontrer pour en parler.\n\nVous trouverez mon CV "
            "en pièce jointe.\n\nJe vous prie d'agréer, Madame, l'expression de mes salutations distinguées.\n\n"
            "Karim Benali\n",
            date=at(7, 18, 40),
            received=at(7, 18, 40),
            message_id="<demo-02@example.net>",
            attachments=[("cv_benali_2024.pdf", pdf(KARIM))],
        ),
        "03-cv-only": eml(
            from_="MOREAU Thomas <thomas.moreau@example.org>",
            to=f"{DIRECTRICE}, {SECRETARY}",
            cc=None,
            subject="Candidature chargé de mission",
            text="Bonjour,\n\nci-joint mon CV pour le poste.\n\nCordialement\nThomas Moreau\n",
            date=at(8, 12, 3),
            received=at(8, 12, 3),
            message_id="<demo-03@example.org>",
            attachments=[("CV.pdf", pdf(THOMAS))],
        ),
        "04-the-missing-letter": eml(
            from_="Thomas Moreau <thomas.moreau@example.org>",
            to=DIRECTRICE,
            cc=SECRETARY,
            subject="Re: Candidature chargé de mission",
            text="Bonjour,\n\nvoici la lettre de motivation qui "
            "manquait à ma candidature.\n\nCordialement\nThomas Moreau\n",
            date=at(9, 8, 30),
            received=at(9, 8, 30),
            message_id="<demo-04@example.org>",
            headers={"In-Reply-To": "<demo-03@example.org>", "References": "<demo-03@example.org>"},
            attachments=[
                (
                    "lettre.pdf",
                    pdf(
                        letter(
                            "Thomas Moreau",
                            "Bourges",
                            "Chargé d'études au département du Cher, je souhaite rejoindre votre équipe.",
                            "J'ai mené pendant deux ans l'observation de l'habitat et je suis motivé par vos travaux",
                            "sur les villes moyennes. Je pense contribuer à vos publications et à vos rencontres.",
                        )
                    ),
                )
            ],
        ),
        "05-a-question": eml(
            from_="Sophie Martin <sophie.martin@example.fr>",
            to=SECRETARY,
            cc=None,
            subject="Question sur l'offre de chargé de mission",
            text="Bonjour Madame Dugué,\n\nAvant de postuler, "
            "pourriez-vous me dire si le poste est ouvert au télétravail et quelle est la rémunération prévue ?\n\n"
            "Je vous remercie par avance.\nSophie Martin\n",
            date=at(9, 14, 22),
            received=at(9, 14, 22),
            message_id="<demo-05@example.fr>",
        ),
        "06-an-invoice": eml(
            from_="Imprimerie du Val <comptabilite@imprimerie-du-val.example>",
            to=DIRECTRICE,
            cc=SECRETARY,
            subject="Facture F-2024-0117 - impression du rapport d'activité",
            text="Bonjour,\n\nVeuillez trouver "
            "ci-joint la facture F-2024-0117 d'un montant de 1 248,00 € TTC, payable à 30 jours.\n\n"
            "Cordialement,\nLe service comptabilité\n",
            date=at(12, 10, 5),
            received=at(12, 10, 5),
            message_id="<demo-06@imprimerie-du-val.example>",
            attachments=[
                (
                    "F-2024-0117.pdf",
                    pdf(
                        [
                            "FACTURE F-2024-0117",
                            "Imprimerie du Val, 45100 Orléans, SIRET 123 456 789 00012",
                            "Client : Villes au Carré",
                            "Désignation   Quantité   Prix unitaire   Montant",
                            "Rapport d'activité 2023   400   2,60 €   1 040,00 €",
                            "Total HT 1 040,00 €",
                            "TVA 20 % 208,00 €",
                            "Total TTC 1 248,00 €",
                            "Règlement à 30 jours par virement, IBAN FR76 0000 0000 0000",
                        ]
                    ),
                )
            ],
        ),
        "07-out-of-office": eml(
            from_="Paul Girard <paul.girard@metropole.example>",
            to=DIRECTRICE,
            cc=None,
            subject="Réponse automatique : réunion du réseau",
            text="Bonjour,\n\nJe suis absent du bureau jusqu'au "
            "19 février et vous répondrai à mon retour.\n\nPaul Girard\n",
            date=at(12, 11, 0),
            received=at(12, 11, 0),
            message_id="<demo-07@metropole.example>",
            headers={"Auto-Submitted": "auto-replied", "X-Auto-Response-Suppress": "All"},
        ),
        "08-a-bounce": bounce(),
        "09-forwarded-by-the-secretary": eml(
            from_=SECRETARY,
            to=DIRECTRICE,
            cc=None,
            subject="TR: candidature",
            text="Marie-Noëlle,\n\nreçu sur ma boîte, pour le poste de chargé de mission.\n\nHélène\n",
            date=at(13, 9, 30),
            received=at(13, 9, 30),
            message_id="<demo-09@villesaucarre.org>",
            enclosed=[
                eml(
                    from_="Nadia Roussel <nadia.roussel@example.com>",
                    to=SECRETARY,
                    cc=None,
                    subject="candidature",
                    text="Bonjour,\n\nJe vous adresse ma candidature : CV et lettre de motivation ci-joints.\n\n"
                    "Nadia Roussel\n",
                    date=at(12, 21, 15),
                    message_id="<demo-09-inside@example.com>",
                    attachments=[("CV_ROUSSEL.pdf", pdf(NADIA)), ("LM_ROUSSEL.pdf", pdf(NADIA_LETTER))],
                )
            ],
        ),
        "10-a-scan": eml(
            from_="Gérard Petit <gerard.petit37@example.fr>",
            to=DIRECTRICE,
            cc=SECRETARY,
            subject="candidature poste de chargé de mission",
            text="Madame,\n\nvoici mon cv et ma lettre scannés pour le poste.\n\nSalutations\nGérard Petit\n",
            date=at(14, 17, 45),
            received=at(14, 17, 45),
            message_id="<demo-10@example.fr>",
            attachments=[
                ("CV Gérard Petit.pdf", scanned_pdf(["Gérard Petit", "Expérience", "2001 - 2023 animateur"])),
                ("lettre de motivation.pdf", scanned_pdf(["Madame,", "je souhaite rejoindre votre équipe"])),
            ],
        ),
        "11-on-the-deadline-day": eml(
            from_="Inès Caron <ines.caron@example.org>",
            to=DIRECTRICE,
            cc=SECRETARY,
            subject="Candidature - chargée de mission questions urbaines",
            text="Bonjour,\n\nVous trouverez ci-joint mon CV et ma lettre.\n\nInès Caron\n",
            date=at(15, 0, 30),
            received=at(15, 0, 30),
            message_id="<demo-11@example.org>",
            attachments=[
                (
                    "Caron_CV.pdf",
                    pdf(
                        cv(
                            "Inès Caron",
                            "Chartres",
                            "ines.caron@example.org",
                            "2019 - 2024 : cheffe de projet urbain, Chartres",
                            studies="2019 : master Urbanisme, Paris Est",
                        )
                    ),
                ),
                (
                    "Caron_lettre.pdf",
                    pdf(
                        letter(
                            "Inès Caron",
                            "Chartres",
                            "Je souhaite rejoindre votre équipe pour y poursuivre un travail commencé à Chartres.",
                            "Mon expérience de la concertation et ma motivation répondent, je crois, à votre annonce.",
                        )
                    ),
                ),
            ],
        ),
        "12-late": eml(
            from_="Hugo Blanc <hugo.blanc@example.net>",
            to=DIRECTRICE,
            cc=SECRETARY,
            subject="Candidature chargé de mission",
            text="Bonjour,\n\nci-joint CV et lettre de motivation, en "
            "espérant qu'il ne soit pas trop tard.\n\nHugo Blanc\n",
            date=at(16, 9, 0),
            received=at(16, 9, 0),
            message_id="<demo-12@example.net>",
            attachments=[
                (
                    "CV.pdf",
                    pdf(
                        cv(
                            "Hugo Blanc",
                            "Châteauroux",
                            "hugo.blanc@example.net",
                            "2020 - 2024 : chargé de développement, Châteauroux métropole",
                            studies="2020 : master AES",
                        )
                    ),
                ),
                (
                    "Lettre.pdf",
                    pdf(
                        letter(
                            "Hugo Blanc",
                            "Châteauroux",
                            "Votre annonce correspond à mon projet professionnel : animer un réseau de territoires.",
                            "J’ai conduit des diagnostics et je souhaite mettre cette expérience à votre service.",
                        )
                    ),
                ),
            ],
        ),
        # The same message once more, by way of another server.
        "13-sent-twice": b"Received: from mx2.example.org by mx.villesaucarre.org with ESMTPS id 2;\n"
        b" Tue, 06 Feb 2024 09:14:40 +0100\n" + complete,
    }


def bounce() -> bytes:
    return (
        "Received: from mx.example.org by mx.villesaucarre.org; Mon, 12 Feb 2024 11:30:00 +0100\n"
        "Return-Path: <>\nFrom: MAILER-DAEMON@mx.example.org (Mail Delivery System)\n"
        "To: marienoelle.pinson@villesaucarre.org\nSubject: Undelivered Mail Returned to Sender\n"
        "Date: Mon, 12 Feb 2024 11:30:00 +0100\nMessage-ID: <demo-08@mx.example.org>\nAuto-Submitted: auto-replied\n"
        "MIME-Version: 1.0\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\n\n'
        "--b\nContent-Type: text/plain; charset=us-ascii\n\n"
        "I'm sorry to have to inform you that your message could not be delivered.\n\n"
        "<mairie@ville.example>: host mx.ville.example said: 550 5.1.1 User unknown\n\n"
        "--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.org\n\n"
        "Final-Recipient: rfc822; mairie@ville.example\nAction: failed\nStatus: 5.1.1\n\n--b--\n"
    ).encode("ascii")


def main() -> None:
    TARGET.mkdir(exist_ok=True)
    for name, octets in mails().items():
        (TARGET / f"{name}.eml").write_bytes(octets)
        print(f"{len(octets):7d}  {name}.eml")  # noqa: T201 - a script that says what it wrote


if __name__ == "__main__":
    main()
