"""The papers that candidates and others attach, as lines: CVs and letters of several trades, and what is neither."""

from __future__ import annotations

import functools
import io

# By trade: its title, jobs, degrees, skills, what draws people to it, and a town.
TRADES = {
    "urbanisme": (
        "Chargée de mission politique de la ville",
        ["Chargée de projet renouvellement urbain, Ville d'Angers", "Assistante d'études, Agence d'urbanisme de Tours"],
        ["Master Urbanisme et aménagement, Université de Tours", "Licence de géographie, Université d'Orléans"],
        "Conduite de projet, animation de réunions publiques, évaluation, QGIS",
        "le renouvellement urbain et la participation des habitants",
        "37000 Tours",
    ),
    "social": (
        "Cheffe de projet développement social",
        ["Coordinatrice de centre social, CAF du Loiret", "Animatrice de quartier, Ville de Blois"],
        ["DEJEPS développement de projets, CREPS de Poitiers", "Licence sciences de l'éducation, Rennes 2"],
        "Partenariats, montage de dossiers, animation d'équipe",
        "le développement social des quartiers",
        "45000 Orléans",
    ),
    "comptable": (
        "Assistant comptable",
        ["Comptable unique, Association Les Tilleuls", "Aide-comptable, Cabinet Morin"],
        ["BTS Comptabilité et gestion, Lycée Grandmont", "Baccalauréat STMG"],
        "Sage, saisie des écritures, rapprochements bancaires, paie, TVA",
        "la rigueur des comptes associatifs",
        "41000 Blois",
    ),
    "bibliotheque": (
        "Bibliothécaire",
        ["Responsable de section jeunesse, Médiathèque de Limoges", "Agente de bibliothèque, Aubusson"],
        ["DUT Métiers du livre, IUT de Bordeaux", "Licence de lettres modernes, Limoges"],
        "Catalogage, action culturelle, accueil de classes, SIGB",
        "la lecture publique en milieu rural",
        "23000 Guéret",
    ),
    "logistique": (
        "Agent logistique",
        ["Préparateur de commandes, Entrepôt Martin", "Manutentionnaire, Intérim Ouest"],
        ["CAP Agent d'entreposage", "CACES 1, 3 et 5"],
        "Réception, inventaires, conduite de chariots",
        "un travail d'équipe et de terrain",
        "49000 Angers",
    ),
    "communication": (
        "Chargé de communication",
        ["Chargé de communication, Théâtre de l'Étoile", "Community manager, Agence Fil Rouge"],
        ["Master Information et communication, CELSA", "Licence d'histoire, Nantes"],
        "Rédaction, réseaux sociaux, InDesign, relations presse",
        "faire connaître l'action des associations",
        "44000 Nantes",
    ),
    "accueil": (
        "Secrétaire d'accueil",
        ["Hôtesse d'accueil, Clinique Saint-Gatien", "Vendeuse, Boulangerie Petit"],
        ["Baccalauréat professionnel Gestion administration", "Brevet des collèges"],
        "Accueil téléphonique, Word, Excel, prise de rendez-vous",
        "le contact avec le public",
        "86000 Poitiers",
    ),
    "donnees": (
        "Géomaticien",
        ["Géomaticien, Département de la Vienne", "Stagiaire SIG, Agence de l'eau"],
        ["Master Géomatique, La Rochelle", "Licence de géographie, Poitiers"],
        "QGIS, PostGIS, Python, cartographie, open data",
        "la donnée au service des territoires",
        "17000 La Rochelle",
    ),
}


def trade_of(seed: int) -> str:
    """A trade that suits the offer of chargé de mission, by chance of the name."""
    return ("urbanisme", "social", "communication")[seed % 3]


def lines(kind: str, full: str, address: str, trade: str, seed: int) -> list[str]:
    """The lines of one document."""
    match kind:
        case "cv":
            return _cv(full, address, trade, seed)
        case "letter":
            return _letter(full, address, trade, seed)
        case "both":
            return [*_letter(full, address, trade, seed), "", "", *_cv(full, address, trade, seed)]
        case _:
            return OTHERS[kind]


def _cv(full: str, address: str, trade: str, seed: int) -> list[str]:
    title, jobs, degrees, skills, _, town = TRADES[trade]
    phone = f"06 {seed % 90 + 10} {seed % 80 + 12} {seed % 70 + 21} {seed % 60 + 33}"
    head = [
        [full, title, f"{town} - {phone}", address],
        [full.upper(), f"{seed % 60 + 2} rue des Acacias", town, f"Tél. {phone}", f"Courriel : {address}", title],
        ["CURRICULUM VITAE", full, f"{address} | {phone} | {town}", title],
    ][seed % 3]
    years = [(2019, 2023), (2016, 2019)]
    experience = [f"{start} - {end}  {job}" for (start, end), job in zip(years, jobs, strict=True)]
    detail = [
        "- suivi des partenaires et des financeurs",
        "- préparation et animation de réunions",
        "- rédaction de bilans",
    ]
    education = [f"{year} : {degree}" for year, degree in zip((2016, 2013), degrees, strict=True)]
    parts = [
        ["EXPÉRIENCES PROFESSIONNELLES", experience[0], *detail, experience[1], detail[1]],
        ["FORMATION", *education],
        ["COMPÉTENCES", skills],
        ["LANGUES", "Anglais : niveau B2", "Espagnol : notions"],
        ["CENTRES D'INTÉRÊT", "Randonnée, chorale, bénévolat aux Restos du cœur"],
    ]
    if seed % 2:
        parts[0], parts[1] = parts[1], parts[0]
    return [*head, "", *(line for part in parts for line in (*part, ""))]


def _letter(full: str, address: str, trade: str, seed: int) -> list[str]:
    title, jobs, degrees, skills, why, town = TRADES[trade]
    opening = [
        f"Votre offre d'emploi a retenu toute mon attention, car {why} est au cœur de mon parcours.",
        f"Actuellement en poste comme {title.lower()}, je souhaite mettre mon expérience à votre service.",
        f"C'est avec enthousiasme que je vous adresse ma candidature : {why}, voilà ce qui me fait avancer.",
    ][seed % 3]
    middle = [
        f"Pendant quatre ans, j'ai exercé ce métier : {jobs[0].lower()}. J'y ai appris à écouter les partenaires,",
        "à tenir les délais et à rendre compte. Cette expérience m'a donné le goût du travail collectif et m'a appris",
        f"à mener plusieurs dossiers de front. Ma formation ({degrees[0]}) m'a apporté de solides bases, que j'ai",
        f"complétées sur le terrain : {skills.lower()}.",
        "Je suis convaincue que mes compétences et ma motivation répondront à vos attentes.",
    ]
    closing = [
        "Je me tiens à votre disposition pour un entretien et vous prie d'agréer, Madame, mes salutations distinguées.",
        "Je serais heureuse de vous exposer mes motivations de vive voix. Veuillez agréer, Madame, ma considération.",
        "Dans l'attente de vous rencontrer, je vous prie de croire, Madame, à mes respectueuses salutations.",
    ][seed % 3]
    head = [full, town, address, "", "Association Villes au Carré", "À l'attention de Madame la Directrice", ""]
    subject = "Objet : candidature"
    return [
        *head,
        f"{town[6:]}, le 12 février 2024",
        "",
        subject,
        "",
        "Madame, Monsieur,",
        "",
        opening,
        "",
        *middle,
        "",
        closing,
        "",
        full,
    ]


OTHERS = {
    "payslip": [
        "BULLETIN DE PAIE",
        "Période du 01/01/2024 au 31/01/2024",
        "Emploi : assistante administrative   Convention collective de l'animation",
        "Salaire brut 2 104,30",
        "Cotisations salariales 462,10",
        "Net à payer avant impôt 1 642,20",
        "Virement le 29/01/2024",
    ],
    "certificate": [
        "CERTIFICAT DE TRAVAIL",
        "Je soussignée, directrice des ressources humaines, certifie que l'intéressée a été employée du 2 mai 2019",
        "au 31 décembre 2023 en qualité d'assistante : factures, devis, bons de commande, ordre du jour et",
        "compte rendu du conseil d'administration, demandes de subvention.",
        "Elle nous quitte libre de tout engagement.",
    ],
    "verdict": [
        "PROCÈS-VERBAL DE DÉLIBÉRATION DU JURY",
        "Session de juin 2016",
        "Le jury réuni en séance le 28 juin 2016 déclare la candidate admise, mention assez bien",
        "Relevé de notes : UE 1 14,5 ; UE 2 13,0",
        "Le président du jury",
    ],
    "rib": ["RELEVÉ D'IDENTITÉ BANCAIRE", "RIB", "Titulaire du compte", "IBAN FR76 0000 0000 0000", "BIC XXXXFRPP"],
    "form": [
        "CERFA n° 14069*03",
        "Demande d'agrément au titre de l'engagement de service civique",
        "Organisme d'accueil, subvention, numéro SIRET",
        "Date et signature",
    ],
    "ouroffer": [
        "Villes au Carré recrute un ou une chargé·e de mission questions urbaines et territoriales",
        "Offre d'emploi : CDD de 18 mois, temps plein, Tours",
        "Missions principales : animation du réseau politique de la ville",
        "CV et lettre de motivation à adresser à Marie-Noëlle Pinson, avec copie à Hélène Dugué,",
        "avant le 15 février 2024",
    ],
    "sample": [
        "COMITÉ DE PILOTAGE DU CONTRAT DE VILLE",
        "Compte rendu de la réunion du 12 octobre 2022",
        "Ordre du jour : appel à projets 2023, répartition des subventions",
        "Participants : services de l'État, bailleurs, conseil citoyen",
    ],
    "prices": [
        "BORDEREAU DES PRIX UNITAIRES",
        "Consultant senior : 850 EUR HT par jour",
        "Consultante junior : 600 EUR HT par jour",
        "Total HT, TVA 20 %, total TTC",
    ],
    "declaration": [
        "LETTRE DE CANDIDATURE DC1",
        "Désignation du mandataire par ses cotraitants",
        "Marché public de services : objet de la consultation",
        "Groupement momentané d'entreprises, numéro SIRET",
    ],
    "recipe": ["Tarte aux poireaux", "Ingrédients : 3 poireaux, 20 cl de crème", "Cuire 40 minutes à 180 °C"],
    "invoice": [
        "SARL Bureautique du Val",
        "FACTURE n° F-2024-0117",
        "Date : 31/01/2024",
        "Désignation   Qté   PU HT   Total HT",
        "Papier A4   20   4,10   82,00",
        "Cartouches   4   39,00   156,00",
        "Total HT 238,00",
        "TVA 20 % 47,60",
        "Net à payer TTC 285,60 EUR",
        "Paiement à 30 jours par virement, IBAN FR76 0000 0000",
    ],
    "quote": [
        "DEVIS n° 2024-031",
        "Objet : rénovation de la salle de réunion",
        "Main d'œuvre 1 200,00",
        "Fournitures 640,00",
        "Total HT 1 840,00",
        "TVA 10 % 184,00",
        "Devis valable 3 mois, bon pour accord le",
    ],
    "minutes": [
        "COMPTE RENDU DE LA RÉUNION DU 6 FÉVRIER 2024",
        "Présents : Mme Pinson, M. Leroy, Mme Haddad",
        "Excusés : M. Petit",
        "Ordre du jour",
        "1. Approbation du compte rendu précédent",
        "2. Journée régionale : répartition des tâches",
        "3. Budget : le prévisionnel est adopté",
        "Prochaine réunion le 5 mars 2024",
    ],
    "aap": [
        "VILLE DE SAINT-AVERTIN",
        "APPEL À PROJETS « QUARTIERS SOLIDAIRES » 2024",
        "DOSSIER DE CANDIDATURE",
        "Porteur du projet : commune de Saint-Avertin, SIRET 213 702 087",
        "Intitulé de l'action : jardins partagés",
        "Plan de financement : total 42 000 EUR, subvention demandée 15 000 EUR",
        "Calendrier, indicateurs d'évaluation, délibération du conseil municipal",
    ],
    "post": [
        "FICHE DE POSTE",
        "Intitulé : coordinateur ou coordinatrice de projets",
        "Missions principales : animer le réseau, suivre les budgets",
        "Profil recherché : formation supérieure, permis B",
        "Conditions : CDI, 35 heures, 2 300 EUR brut",
        "Candidatures (CV et lettre de motivation) à adresser avant le 15 mars à rh@partenaire.example",
    ],
    "brochure": [
        "CATALOGUE DE FORMATIONS 2024",
        "Réussir ses recrutements : 2 jours, 890 EUR HT",
        "Conduire un entretien d'embauche",
        "Nos formateurs sont certifiés Qualiopi",
        "Inscriptions en ligne",
    ],
    "report": [
        "RAPPORT D'ACTIVITÉ 2023",
        "Sommaire",
        "1. Les chiffres clés",
        "2. Les actions du réseau",
        "3. Perspectives 2024",
        "L'année a été marquée par l'élargissement du réseau à douze communes.",
    ],
    "diploma": [
        "RÉPUBLIQUE FRANÇAISE",
        "UNIVERSITÉ DE TOURS",
        "DIPLÔME DE MASTER",
        "Le Président de l'Université certifie que le grade de Master est conféré",
        "avec la mention Bien, au titre de l'année universitaire 2015-2016",
        "Fait à Tours, le Président",
    ],
    "reference": [
        "LETTRE DE RECOMMANDATION",
        "Je soussigné, directeur général des services, certifie avoir travaillé trois ans avec cette collaboratrice.",
        "Elle a fait preuve de sérieux et d'initiative. Je la recommande sans réserve.",
        "Le directeur, cachet et signature",
    ],
    "convention": [
        "CONVENTION DE STAGE",
        "Entre l'établissement d'enseignement, l'organisme d'accueil et l'élève",
        "Article 1 : objet de la convention",
        "Article 2 : dates du stage du 12 au 16 février 2024",
        "Signatures",
    ],
}


def scan(shown: tuple[str, ...]) -> bytes:
    """A page as a small grey picture in a PDF."""
    return _scan(shown)


@functools.cache
def _scan(shown: tuple[str, ...]) -> bytes:
    from PIL import Image, ImageDraw, ImageFont  # noqa: PLC0415 only scans pay for it

    picture = Image.new("1", (620, 877), 1)
    draw = ImageDraw.Draw(picture)
    for at, line in enumerate(shown[:48]):
        draw.text((40, 40 + 17 * at), line, font=ImageFont.load_default(), fill=0)
    buffer = io.BytesIO()
    picture.save(buffer, "PDF", resolution=75)
    return buffer.getvalue()


@functools.cache
def logo() -> bytes:
    """A signature's picture."""
    from PIL import Image  # noqa: PLC0415 only logos pay for it

    buffer = io.BytesIO()
    Image.new("RGB", (120, 40), (20, 90, 160)).save(buffer, "PNG")
    return buffer.getvalue()
