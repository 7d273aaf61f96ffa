"""What a document is, sentence by sentence; how often it is right is measured in test_documents.py."""

from __future__ import annotations

import pytest
from inbox_agent.application import DocumentKind, DocumentState
from inbox_agent.classify import classify, classify_body, load_document_rules
from inbox_agent.document_text import read_passage
from inbox_agent.errors import ConfigError
from inbox_agent.shipped import shipped

RULES_FILE = shipped("rules") / "documents.toml"
RULES = load_document_rules(RULES_FILE)

CV = """Nadia Belkacem
14 rue des Tanneurs, 59100 Roubaix
06 45 12 78 90
Expériences professionnelles
2019 - 2024 Aide-soignante, EHPAD Les Glycines
2016 - 2019 Aide-soignante, clinique du Parc
Formation
2016 Diplôme d'État d'aide-soignant
Langues
Arabe courant, anglais notions
"""

LETTER = """Roubaix, le 8 janvier 2024
Objet : candidature au poste d'aide-soignante
Madame la Directrice,
Aide-soignante depuis huit ans, je connais le rythme d'un établissement et je souhaite travailler de nuit. Aux
Glycines, j'ai appris à rassurer des résidents désorientés. Mes collègues me disent calme, et j'ai formé deux
stagiaires. Votre projet me touche, car j'ai accompagné ma grand-mère. Je serais heureuse de vous rencontrer.
Je vous prie d'agréer, Madame la Directrice, mes salutations distinguées.
Nadia Belkacem
"""

RECOMMENDATION = """Madame, Monsieur,
J'ai encadré Maud Lenoir pendant six ans. Elle a conduit des missions difficiles avec tact et sa rigueur n'a
jamais fait défaut. Ses clients la redemandaient. Je recommande sa candidature sans réserve et me tiens à votre
disposition pour en parler.
Je vous prie d'agréer, Madame, Monsieur, mes sentiments distingués.
"""


def judge(text: str = "", name: str = "document.pdf", **known: object):
    look = {"state": DocumentState.READ, "pages": 1, "images": 0, "media_type": "application/pdf"} | known
    return classify(text, name=name, vocabulary=RULES, **look)


def scan(name: str, **known: object):
    return judge(name=name, **({"state": DocumentState.SCANNED, "images": 1} | known))


def reasons_of(result) -> set[str]:
    return {item.test for item in result.evidence}


def test_a_cv_is_known_by_its_sections_its_dates_and_its_contact():
    result = judge(CV)

    assert result.kind is DocumentKind.CV
    assert {"cv_section_experience", "cv_dated_lines", "cv_contact"} <= reasons_of(result)


def test_a_letter_is_known_by_its_voice_and_its_manners():
    result = judge(LETTER)

    assert result.kind is DocumentKind.LETTER
    assert {"letter_first_person", "letter_salutation", "letter_closing", "letter_place_and_date"} <= reasons_of(result)


@pytest.mark.parametrize("text", [CV + LETTER, LETTER + CV], ids=["cv first", "letter first"])
def test_a_file_that_holds_both_is_found_in_either_order(text):
    assert judge(text).kind is DocumentKind.CV_AND_LETTER


def test_content_wins_over_a_misleading_name():
    assert judge(CV, "Lettre de motivation.pdf").kind is DocumentKind.CV
    assert judge(LETTER, "CV Belkacem.pdf").kind is DocumentKind.LETTER
    assert judge(RECOMMENDATION, "CV et lettre.pdf").kind is DocumentKind.OTHER


@pytest.mark.parametrize(
    "level",
    [
        str.upper,
        lambda text: text.replace("é", "e").replace("É", "E"),
        lambda text: text.replace("Formation", "F O R M A T I O N"),
        lambda text: text.replace("Expériences professionnelles", "Expériencesprofessionnelles"),
        lambda text: text.replace("Expériences professionnelles", "Expériance professionelle"),
        lambda text: text.replace("é", "´e"),
        lambda text: text.replace("Formation", "Mes formations :"),
    ],
    ids=["capitals", "no accents", "spaced", "glued", "misspelt", "accents apart", "possessive"],
)
def test_a_cv_stays_one_however_it_is_set(level):
    result = judge(level(CV))

    assert result.kind is DocumentKind.CV
    assert {"cv_section_experience", "cv_section_education"} <= reasons_of(result)


def test_two_headings_side_by_side_are_two_headings():
    result = judge(CV.replace("Formation\n", "Formation Compétences\n"))

    assert {"cv_section_education", "cv_section_skills"} <= reasons_of(result)


def test_a_ligature_does_not_hide_a_word():
    assert read_passage("proﬁl et coeﬃcient").words == " profil et coefficient "


def test_inclusive_endings_are_levelled():
    assert read_passage("un·e chargé·e de mission motivé(e)").words == " un charge de mission motive "


def test_a_recommendation_is_no_letter_of_the_candidate():
    result = judge(RECOMMENDATION)

    assert result.kind is DocumentKind.OTHER
    assert "other_recommendation" in reasons_of(result)


def test_the_about_me_of_a_cv_is_no_letter():
    about = (
        "À propos\nJe travaille depuis huit ans. J'aime les gens et je sais tenir un calendrier. Je cherche un poste.\n"
    )

    assert judge(about + CV).kind is DocumentKind.CV


def test_a_letter_that_tells_the_whole_career_stays_a_letter():
    career = (
        "De 1991 à 1997, j'ai été chef d'équipe chez Brunet. En 1997 j'ai repris mes études. De 2000 à 2008, j'ai été\n"
        "conducteur de travaux. De 2008 à 2015, j'ai suivi les marchés de la ville de Saumur.\n"
    )

    assert judge(LETTER.replace("Aide-soignante depuis", career + "Aide-soignante depuis")).kind is DocumentKind.LETTER


def test_an_accountant_may_write_of_invoices():
    trade = "Devis, facturation, TVA, IBAN, échéances, pénalités de retard, bulletins de paie, cotisations URSSAF\n"

    assert judge(CV.replace("Formation\n", trade + "Formation\n")).kind is DocumentKind.CV


def test_a_model_with_gaps_is_other():
    model = LETTER.replace("Aide-soignante depuis huit ans", "[Métier] depuis [nombre] ans")
    model = model.replace("Aux\nGlycines", "Chez [nom de l'entreprise]").replace("Nadia Belkacem", "[Prénom Nom]")

    assert judge(model).kind is DocumentKind.OTHER


def test_diplomas_appended_to_a_cv_leave_it_a_cv():
    diploma = (
        "République française\nMinistère de la santé\nDiplôme d'État d'aide-soignant\nVu le procès-verbal du jury,\n"
        "le présent diplôme est délivré à Mme Belkacem\nLe recteur\n"
    )

    assert judge(CV + "\n" * 3 + diploma).kind is DocumentKind.CV


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("CV_Dupont.pdf", "cv"),
        ("monCVactualisé.pdf", "cv"),
        ("LM.pdf", "letter"),
        ("L.M. Dupont.pdf", "letter"),
        ("Lettre de mission.pdf", "other"),
        ("livret de famille.pdf", "other"),
        ("Anne de Bretagne.pdf", "cv"),
        ("LettreDeMotivation_Dubois.pdf", "letter"),
        ("CV + LM Castaing.pdf", "cv_and_letter"),
        ("Lettre_de_recommandation.pdf", "other"),
        ("Fiche de poste.pdf", "other"),
        ("CV contrat de ville.pdf", "cv"),
        ("scan0001.pdf", "other"),
        ("Jeanne Dupont.pdf", "cv"),
    ],
)
def test_a_scan_is_judged_by_its_name_and_says_so(name, kind):
    result = scan(name)

    assert result.kind == kind
    assert "no_text" in reasons_of(result)
    assert result.confidence < 0.9


def test_a_stamp_on_a_scan_is_no_text():
    assert scan("CV.pdf", images=2).kind is DocumentKind.CV
    assert judge("Numérisé avec CamScanner", "LM.pdf", images=1).kind is DocumentKind.LETTER


def test_a_picture_named_like_a_person_is_not_taken_for_a_cv():
    assert scan("Jeanne Dupont.jpg", media_type="image/jpeg").kind is DocumentKind.OTHER


def test_a_polite_note_in_the_body_is_no_letter():
    note = (
        "Bonjour,\nSuite à votre annonce, je me permets de vous adresser ma candidature. Vous trouverez ci-joint\n"
        "mon CV et ma lettre de motivation. Je reste à votre disposition pour un entretien.\nCordialement"
    )

    assert classify_body(note, RULES) is None


def test_a_letter_in_the_body_is_a_letter():
    result = classify_body(LETTER, RULES)

    assert result is not None
    assert result.kind is DocumentKind.LETTER


def test_what_the_body_quotes_is_not_the_senders_letter():
    quoted = "\n".join(f"> {line}" for line in LETTER.split("\n"))

    assert classify_body(f"Voici mon CV.\n\nLe 3 mars 2024, X a écrit :\n{quoted}", RULES) is None
    assert classify_body(f"Voici mon CV.\n{quoted}", RULES) is None


def test_a_career_told_in_sentences_is_a_cv():
    told = (
        "Amel Bouchareb, couturière\n06 11 22 43 54\n"
        "J'ai appris avec ma mère puis au lycée Carnot (CAP en 1999). Devernois m'a gardée onze ans.\n"
        "Après la fermeture en 2011, j'ai passé trois ans chez Zara. Depuis 2015 je tiens un atelier.\n"
    )
    result = judge(told)

    assert result.kind is DocumentKind.CV
    assert {"cv_identity", "cv_told"} <= reasons_of(result)


def test_headings_in_ones_own_words_make_a_cv():
    functional = (
        "Noura Haddad\n06 43 65 87 09, Vénissieux\n"
        "Ce que je fais de bien\nAccueillir, conseiller, tenir une caisse\n"
        "Là où je l'ai fait\nKiabi, trois ans\nMarché de la Croix-Rousse, cinq étés\n"
    )
    result = judge(functional)

    assert result.kind is DocumentKind.CV
    assert "cv_own_headings" in reasons_of(result)


def test_headings_without_a_person_make_no_cv():
    framework = (
        "Référentiel de compétences\nActivités : accueillir, animer\nCompétences : écoute, travail en équipe\n"
        "Formation : BPJEPS\nLangues : anglais apprécié\nExpérience : 2 ans souhaités\n"
    )

    assert judge(framework).kind is DocumentKind.OTHER


def test_the_staff_of_a_house_are_no_cv():
    team = "".join(
        f"{name}\nchargée de mission, master 2\n201{at}\n06 41 00 00 0{at}\n"
        for at, name in enumerate(("Lucie Bernard", "Inès Moulin", "Paul Hardy", "Aude Petit"))
    )

    assert judge(team).kind is DocumentKind.OTHER


@pytest.mark.parametrize("name", ["CV Dupont.exe", "LM.docm", "Jeanne Dupont.js"])
def test_what_was_refused_is_other_whatever_its_name(name):
    assert judge(CV, name, state=DocumentState.REFUSED).kind is DocumentKind.OTHER


def test_a_photograph_of_a_letter_is_a_letter_and_a_photograph_alone_is_other():
    assert scan("lettre photo.jpg", media_type="image/jpeg").kind is DocumentKind.LETTER
    assert scan("photo.jpg", media_type="image/jpeg").kind is DocumentKind.OTHER


def test_a_letter_and_a_cv_typed_in_the_body_are_both():
    result = classify_body(f"{LETTER}\n\n{CV}", RULES)

    assert result is not None
    assert result.kind is DocumentKind.CV_AND_LETTER


def test_a_body_that_asks_for_no_work_is_no_letter():
    partner = (
        "Chère Madame,\nJ'ai lu votre rapport avec intérêt. Je dirige un centre social à Vierzon et j'ai lancé\n"
        "un atelier avec des habitants. J'aimerais que nous imaginions une journée commune, et je pourrais mettre\n"
        "ma salle à disposition. Mon conseil m'a donné son accord et je connais bien les copropriétés du quartier.\n"
        "Bien à vous,\nPatrick Lemoine\n"
    )

    assert classify_body(partner, RULES) is None


def test_a_full_letter_may_hold_a_question():
    asked = LETTER.replace(
        "Je serais heureuse",
        "J'ai veillé des mourants et j'ai su me taire auprès de leurs familles. "
        "Chaque nuit je relis mes notes, je préviens l'infirmière et je prends le temps d'un mot, car c'est mon métier "
        "et que j'y tiens. Pourriez-vous me dire si le poste est à temps plein ? Je serais heureuse",
    )

    assert classify_body(asked, RULES) is not None


def test_few_words_between_a_salutation_and_a_formula_are_a_letter():
    short = (
        "Blois, le 3 mars\nMadame,\nJ'ai tenu quinze ans une librairie et j'aimerais travailler chez vous.\n"
        "Je vous prie de croire, Madame, à mes sentiments les meilleurs.\nPaule Vernet\n"
    )

    assert judge(short).kind is DocumentKind.LETTER
    assert judge(short.replace("J'ai tenu quinze ans une librairie et j'aimerais", "Ci-joint mon CV.")).kind is (
        DocumentKind.OTHER
    )


def test_a_letter_about_the_application_of_another_is_none():
    mayor = (
        "Madame la Directrice,\nVous avez reçu la candidature d'Inès Lopez. Je l'ai vue grandir ici et je connais son\n"
        "sérieux : elle a tenu notre bibliothèque trois étés, et mes adjoints me parlent encore d'elle. J'espère que\n"
        "vous pourrez lui accorder un entretien.\nJe vous prie d'agréer, Madame, mes salutations distinguées.\n"
    )

    assert judge(mayor).kind is DocumentKind.OTHER
    assert "letter_of_another" in reasons_of(judge(mayor))


def test_a_thesis_is_a_heading_in_a_cv_and_the_title_of_another_paper():
    assert judge(CV.replace("Langues\n", "Thèse\nLes soins la nuit, 2015\nLangues\n")).kind is DocumentKind.CV
    assert "other_title" in reasons_of(judge("Thèse de doctorat\n" + CV))


def test_a_kind_of_form_is_nobodys_name():
    form = "FICHE CLIENT\nTéléphone : 06 22 33 44 55\nDernière visite : mai 2023\nVoiture : Clio grise, 84 000 km\n"

    assert judge(form).kind is DocumentKind.OTHER


def test_an_address_that_a_scan_has_blurred_still_reaches_its_owner():
    blurred = "Saori Lemoine\ndanseuse\nsaori.lemoine@example org\nEaux fortes, Cie Mirage, 2023\nKado, solo, 2022\n"

    assert "cv_identity" in reasons_of(judge(blurred))


@pytest.mark.parametrize(
    "text", ["", " \n\t\x0c", "\x00", "a", "é" * 50_000, "2018 - " * 9000, "[" * 40_000, "\n" * 90_000]
)
def test_any_text_gets_a_verdict(text):
    assert 0 <= judge(text).confidence <= 1
    assert classify_body(text, RULES) is None


def test_the_shipped_rules_hold_no_fault():
    assert load_document_rules(RULES_FILE) == RULES


def test_every_fault_of_the_rules_is_told_at_once(tmp_path):
    text = RULES_FILE.read_text(encoding="utf-8")
    broken = tmp_path / "documents.toml"
    broken.write_text(
        text.replace("few_words = 25", "few_word = 25").replace(
            "brevity = { weight = 1.2", 'brevity = { weight = "1.2"'
        ),
        encoding="utf-8",
    )

    with pytest.raises(ConfigError) as raised:
        load_document_rules(broken)

    told = {fault.place: fault for fault in raised.value.faults}
    assert told["few_word"].remedy == 'Did you mean "few_words"?'
    assert told["few_words"].problem == "is missing"
    assert told["cv.shape.brevity.weight"].problem == "is not a number"


def test_rules_that_are_no_toml_are_told_by_line(tmp_path):
    broken = tmp_path / "documents.toml"
    broken.write_text("[cv\n", encoding="utf-8")

    with pytest.raises(ConfigError, match="line 1"):
        load_document_rules(broken)


SHOWN = """La lettre qui fait mouche
Une lettre tient sur une page. Voici celle de Kevin, qui cherchait une place d'apprenti :
« Madame, Monsieur,
J'ai seize ans et je me lève déjà à cinq heures pour aider mon oncle au fournil. J'aimerais apprendre le métier chez
vous, parce que votre pain est le meilleur. Je suis solide, ponctuel et motivé.
Je vous prie d'agréer, Madame, Monsieur, mes salutations distinguées.
Kevin »
Il parle de lui sans réciter, et il dit pourquoi cette boulangerie.
"""


def test_a_letter_in_quotation_marks_is_shown_not_sent():
    assert judge(SHOWN).kind is DocumentKind.OTHER
    assert judge(SHOWN.replace("« ", "").replace(" »", "")).kind is DocumentKind.LETTER


def test_titles_in_quotation_marks_do_not_quote_what_stands_between_them():
    assert judge(LETTER.replace("je connais", "« Les nuits » je connais").replace("Votre", "« Vivre » Votre")).kind is (
        DocumentKind.LETTER
    )


def test_who_tells_of_herself_as_she_gives_her_address():
    told = """Présentation de Claire Mounier
Après des études de droit à Poitiers (maîtrise obtenue en 1998), Claire Mounier a dirigé pendant huit ans le service de
la vie associative de Châtellerault. Nommée en 2009 directrice de cabinet, elle a conduit la réforme des conseils de
quartier. Depuis 2015, elle est directrice des solidarités. Elle a suivi en 2018 le cycle supérieur de l'INET.
"""

    assert judge(f"{told}claire.mounier@example.org, 06 45 70 18 22").kind is DocumentKind.CV
    assert judge(f"{told}billetterie@example.org, 02 45 70 18 22").kind is DocumentKind.OTHER


def test_boxes_to_tick_make_a_form_and_rows_of_them_rate_a_skill():
    form = """Recrutement de saisonniers 2024
Nom GAUTHIER
Prénom Mélissa
Date de naissance 14/05/2004
Adresse 6 rue du Port, 37130 Langeais
Téléphone 06 99 12 34 07
Poste demandé : baignade [x] entretien [ ]
Juillet [x] Août [x]
Permis B [x]
Diplômes BNSSA 2023
Expériences camping des Mistrals, été 2023
"""

    assert judge(form).kind is DocumentKind.OTHER
    assert judge(f"{CV}Excel ☑☑☐\nWord ☑☑☑\nPaie ☑☐☐\nGestion ☑☐☐").kind is DocumentKind.CV


def test_a_few_words_read_of_a_scan_prove_what_it_is_and_never_what_it_is_not():
    few = "\n".join(CV.split("\n")[:5])

    assert scan("IMG_2041.jpg", text=few, state=DocumentState.READ).kind is DocumentKind.CV
    assert scan("IMG_2041.jpg", text="Langues\nsoussou, malinké\nQualités\nsérieux, discret, très matinal").kind is (
        DocumentKind.CV
    )
    assert scan("CV Sylla.jpg", text="Ce que nous avons lu de la page est trop peu").kind is DocumentKind.CV


def test_a_letter_is_greeted_and_signed_in_words_of_its_own():
    letter = """Salut à toute l'équipe,
Je fais de la radio avec des habitants depuis quatre ans et j'aimerais faire la même chose chez vous : ouvrir des
micros, garder une trace. Le titre m'intimide un peu, le contenu pas du tout. Je peux venir quand vous voulez.
Gaël
"""

    assert judge(letter).kind is DocumentKind.LETTER
    assert "letter_framed" in reasons_of(judge(letter))
