"""The reasons for silence, in French for staff. The English sentences are those of decide.py and guards.py."""

from __future__ import annotations

_FRENCH = {
    "no application": "ce n’est pas une candidature",
    "mail among staff": "message de l’équipe",
    "automatic mail is never answered (RFC 3834)": "jamais de réponse à un automate (RFC 3834)",
    "bulk mail is never answered": "jamais de réponse à un envoi en nombre",
    "an enquiry: a person answers it": "une question : à vous de répondre",
    "in doubt: a person must look first": "à vérifier d’abord",
    "the withdrawal was acknowledged already": "le retrait a déjà été confirmé",
    "the same message again: answered already": "le même message une seconde fois : déjà répondu",
    "a document that was not recognised may be the missing piece: a person must look first": (
        "une pièce non reconnue est peut-être celle qui semble manquer : à vérifier d’abord"
    ),
    "a follow-up of an application that is not known here: a person must look": (
        "complément d’une candidature inconnue ici : à vérifier"
    ),
    "the application was withdrawn: a person must look": "la candidature avait été retirée : à vérifier",
    "the application is late: a person answers": "candidature hors délai : à vous de répondre",
    "a piece after the deadline, refused by the offer's rule: a person answers": (
        "pièce reçue après la date limite, refusée selon l’offre : à vous de répondre"
    ),
    "answered already": "déjà répondu",
    "staff placed the application themselves: a person answers": "dossier placé par vous : à vous de répondre",
    "nothing changed in the state of the application": "rien de nouveau dans le dossier",
    "no address of the candidate is certain": "aucune adresse sûre de la personne",
    "the address is one of ours": "l’adresse est l’une des nôtres",
    "older than the installation": "message antérieur à la mise en service",
    "the trusted server's DMARC check failed: the sender may be forged": (
        "l’expéditeur est peut-être usurpé (contrôle DMARC en échec)"
    ),
    "the address has had its replies for today": "cette adresse a déjà reçu ses réponses du jour",
    "more replies than is plausible: sending is stopped until a person looks": (
        "trop de réponses d’un coup : envoi suspendu, à vérifier"
    ),
    "replies are switched off": "les réponses sont désactivées pour cette offre",
}


def in_french(reason: str) -> str:
    """The reason as staff read it; one of the guards' own is mail that machines send."""
    return _FRENCH.get(reason, "message envoyé par un automate ou par une liste : jamais de réponse automatique")
