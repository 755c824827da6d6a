"""Invented names of the demo's customers, in the scripts of their countries."""

from random import Random

# Country: how often, names, legal forms. None: a customer who gave no country.
COUNTRIES: dict[str | None, tuple[int, tuple[str, ...], tuple[str, ...]]] = {
    "DE": (
        34,
        ("Müller & Söhne", "Blaufuß", "Grünspecht", "Straßenbahn", "Köhler Analytik"),
        ("GmbH", "AG", "UG"),
    ),
    "AT": (8, ("Donauwörth", "Gämse Software", "Österle", "Wäldle"), ("GmbH", "OG")),
    "CH": (8, ("Zürisee", "Rösti Labs", "Höhenweg", "Châtelet"), ("AG", "Sàrl")),
    "FR": (10, ("Crème & Café", "L'Étoile", "Forêt Numérique", "Œuvre"), ("SARL", "SAS")),
    "NL": (8, ("IJsbeer", "Coöperatie Zuid", "Oranje Fiets"), ("B.V.", "N.V.")),
    "PL": (7, ("Łódka", "Żubr Systemy", "Gdańskie Dane"), ("sp. z o.o.", "S.A.")),
    "DK": (5, ("Blåbær", "Nordlys Øst", "Smørrebrød Cloud"), ("ApS", "A/S")),
    "CZ": (4, ("Říčka", "Žluťoučký Kůň"), ("s.r.o.", "a.s.")),
    "US": (
        10,
        ("O'Neill & Daughters", "Northwind Bikes", "+1 Ventures", 'The "Quoted" Goods'),
        ("Inc.", "LLC"),
    ),
    "JP": (4, ("東京データ", "青空システム", "ﾊﾝｶｸ商事"), ("株式会社", "合同会社")),
    None: (2, ("Ελληνικά Δεδομένα", "Мороз", "👋 Hello"), ("", "Ltd")),
}
WEIGHTS = [often for often, _, _ in COUNTRIES.values()]


def country(rng: Random) -> str | None:
    return rng.choices(list(COUNTRIES), WEIGHTS)[0]


def name(country: str | None, rng: Random) -> str:
    """A customer's name; two customers may share one."""
    _, stems, forms = COUNTRIES[country]
    return f"{rng.choice(stems)} {rng.choice(forms)}".strip()
