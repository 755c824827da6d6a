"""Translates words of schemas in German, Spanish, French, Portuguese, Italian and Dutch into English."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_LISTS = """
customer: kunde kunden kundin cliente clientes klant klanten clienti
user: benutzer nutzer anwender usuario usuarios utilisateur
user: utilisateurs utente utenti gebruiker gebruikers usager usagers
member: mitglied mitglieder miembro miembros membre membres socio socios membro membros leden abonnent
student: schueler schuler estudiante estudiantes alumno alumnos eleve eleves etudiant etudiants aluno alunos
patient: paciente pacientes pazienti patienten
employee: mitarbeiter empleado empleados funcionario funcionarios dipendente dipendenti medewerker medewerkers
company: firma firmen unternehmen empresa empresas entreprise entreprises azienda aziende bedrijf bedrijven
order: bestellung bestellungen bestell auftrag auftraege auftrage pedido pedidos
order: commande commandes ordine ordini encomenda encomendas bestelling bestellingen
invoice: rechnung rechnungen factura facturas facture factures fattura fatture fatura faturas factuur facturen
payment: zahlung zahlungen pago pagos paiement paiements pagamento pagamentos pagamenti betaling betalingen
booking: buchung buchungen reserva reservas reservierung
booking: reservierungen prenotazione prenotazioni boeking boekingen
subscription: abo abos abonnement abonnements suscripcion
subscription: suscripciones assinatura assinaturas abbonamento abbonamenti
contract: vertrag vertraege vertrage contrato contratos contrat contrats contratto contratti contracten
product: artikel produkt produkte producto productos produit produits
product: produto produtos prodotto prodotti producten articulo articulos
item: bestellposition positionen posten
line: zeile zeilen linea lineas ligne lignes linha linhas riga righe regel regels
detail: detalle detalles detalhe detalhes dettaglio dettagli
visit: besuch besuche visita visitas visite visites bezoek bezoeken
login: anmeldung anmeldungen
message: nachricht nachrichten mensaje mensajes mensagem mensagens messaggio messaggi bericht berichten
amount: betrag betraege betrage monto importe montant valor importo bedrag
total: gesamt gesamtsumme totale
sum: summe suma somme soma somma
price: preis preise precio prix preco prezzo prijs
quantity: menge anzahl cantidad quantite quantidade quantita aantal
gross: brutto bruto brut lordo
net: netto neto
tax: steuer mwst ust impuesto impuestos iva taxe tva imposto impostos btw
discount: rabatt descuento remise desconto sconto korting
shipping: versand versandkosten porto envio livraison frete spedizione verzending verzendkosten
cost: kosten costo coste cout custo
currency: waehrung wahrung moneda devise moeda valuta
created: angelegt erstellt erstellung creado creacion cree creation criado criacao creato creazione aangemaakt
updated: geaendert geandert aktualisiert modificado actualizado modifie atualizado modificato gewijzigd
deleted: geloescht geloscht eliminado borrado supprime excluido eliminato verwijderd
paid: bezahlt pagado paye pagato betaald
ordered: bestellt besteld
canceled: storniert gekuendigt gekundigt cancelado anulado annule annulee annullato geannuleerd
pending: ausstehend pendiente pendente wartend
open: offen abierto ouvert aberto aperto
completed: abgeschlossen completado termine terminado concluido completato erledigt voltooid
shipped: versendet verschickt enviado expedie spedito verzonden
delivered: geliefert entregado entregue consegnato geleverd
date: datum fecha
time: zeitpunkt zeit hora heure tijdstip uhrzeit
start: beginn anfang inicio debut inizio aanvang begin
end: ende fin fim einde
due: faellig fallig vencimiento echeance vencimento scadenza vervaldatum
issued: ausgestellt emision emission emissao emissione
registration: registrierung registro inscription inscripcion inscricao iscrizione registratie registrazione
until: bis
monthly: monatlich monats mensual mensuel mensal mensile maandelijks maand
yearly: jaehrlich jahrlich jahres anual annuel annuale jaarlijks
month: monat
year: jahr annee anno
unit: einzel stueck stuck unitario unitaire unidade
birth: geburt geburts nacimiento naissance nascimento nascita geboorte
name: vorname nachname nombre nombres apellido apellidos nom
name: prenom nome sobrenome cognome naam voornaam achternaam
mail: correo courriel
phone: telefon telefono telephone telefone telefoon handy
street: strasse calle rue rua straat
city: stadt ciudad ville cidade citta ort
country: land pais pays paese
gender: geschlecht sexo sexe sesso geslacht
address: adresse direccion endereco indirizzo adres anschrift
zip: plz
language: sprache idioma langue lingua taal
state: zustand estado etat stato
type: typ tipo
category: kategorie categoria categorie
plan: tarif tarifa
number: nummer numero
review: bewertung bewertungen resena resenas avaliacao avaliacoes recensione recensioni
reason: grund motivo motif
incident: incidencia incidencias incidente incidentes vorfall vorfaelle stoerung storung incidenti
event: evento eventos eventi ereignis ereignisse evenement evenements gebeurtenis gebeurtenissen
shipment: envios sendung sendungen
delivery: entrega entregas lieferung lieferungen consegna consegne levering leveringen
vehicle: vehiculo vehiculos vehicule vehicules veicolo veicoli veiculo veiculos fahrzeug fahrzeuge voertuig voertuigen
driver: conductor conductores fahrer chauffeur chauffeurs autista autisti motorista motoristas
supplier: proveedor proveedores lieferant lieferanten fournisseur fournisseurs fornitore fornitori fornecedor
supplier: fornecedores leverancier leveranciers
expense: gasto gastos ausgabe ausgaben depense depenses despesa despesas spesa spese uitgave uitgaven
salary: salario gehalt gehaelter salaire stipendio salaris
appointment: cita citas termin termine rendezvous appuntamento appuntamenti afspraak afspraken
course: curso cursos kurs kurse corso corsi
task: tarea tareas aufgabe aufgaben tache taches tarefa tarefas taak taken
project: proyecto proyectos projekt projekte projet projets progetto progetti projeto projetos
donation: spende spenden donacion donaciones
session: sesion sesiones sitzung sitzungen seance seances
registered: alta altas
deactivated: baja bajas
opened: apertura geoeffnet geoffnet eroeffnet ouverture
closed: cierre cerrado geschlossen fermeture ferme chiusura chiuso fechamento fechado gesloten
active: activo aktiv actif attivo ativo actief
received: recibido erhalten ricevuto recebido ontvangen
confirmed: confirmado bestaetigt bestatigt confirme confermato bevestigd
returned: devuelto retourne restituito devolvido retourniert geretourneerd
refunded: reembolsado erstattet rembourse rimborsato terugbetaald
rejected: rechazado abgelehnt refuse rifiutato recusado afgewezen
failed: fallido fehlgeschlagen echoue fallito mislukt
overdue: vencido ueberfaellig uberfaellig
draft: borrador entwurf brouillon bozza rascunho
region: provincia bundesland provincie
"""
_ROMANCE_HEADS = frozenset(
    ("line", "detail", "event", "date", "time", "price", "number", "total", "state", "type", "start", "end")
)
"""Nouns that come first in Romance languages: `detalle_pedidos` is an order detail."""
_LITTLE = frozenset(("de", "del", "des", "du", "di", "da", "do", "la", "le", "el"))
_LINKS = ("", "s", "n", "en", "es", "ungs")


def _dictionary() -> dict[str, str]:
    found: dict[str, str] = {}
    for line in _LISTS.strip().splitlines():
        english, _, others = line.partition(":")
        for word in others.split():
            found.setdefault(word, english)
    return found


TRANSLATED = _dictionary()
_PARTS = sorted((word for word in TRANSLATED if len(word) >= 3), key=len, reverse=True)


@lru_cache(maxsize=20_000)
def in_english(word: str) -> tuple[str, ...]:
    """The English words for a word; the word itself if it is not known. `gesamtbetrag` is (total, amount)."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", word) if not unicodedata.combining(c))
    for form in (plain, *_masculine(plain, accented=plain != word)):
        if form in TRANSLATED:
            return (TRANSLATED[form],)
    return _compound(plain) or (word,)


def _masculine(word: str, *, accented: bool) -> list[str]:
    """The masculine singular of a participle in a Romance language: pagado of pagada and pagadas, paye of payée.

    Without an accent, payee is English."""
    found = re.fullmatch(r"(\w{3,}[dt])(?:a|os|as|i|e)", word)
    french = re.fullmatch(r"(\w{3,}e)(?:e|s|es)", word) if accented else None
    return [*([f"{found[1]}o"] if found else []), *([french[1]] if french else [])]


def _compound(word: str) -> tuple[str, ...]:
    """The English words of two known words that are written as one; empty if they are not known."""
    for first in _PARTS:
        if len(first) < 4 or not word.startswith(first):
            continue
        for link in _LINKS:
            rest = word[len(first) + len(link) :]
            if word[len(first) :].startswith(link) and len(rest) >= 4 and rest in TRANSLATED:
                return TRANSLATED[first], TRANSLATED[rest]
    return ()


def in_english_order(found: list[str], original: list[str]) -> list[str]:
    """Translated words with their noun at the end, without articles; `id_cliente` is a customer id."""
    if found[:1] == ["id"] and len(found) > 1:
        found = [*found[1:], "id"]
    if found == original or len(found) < 2:
        return found
    kept = [word for word in found if not re.fullmatch("|".join(_LITTLE), word)]
    if len(kept) > 1 and kept[0] in _ROMANCE_HEADS and kept[0] != original[0]:
        kept = [*kept[1:], kept[0]]
    return kept or found
