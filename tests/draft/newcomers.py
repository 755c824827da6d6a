"""More databases in the shape of known applications: a service on Laravel with Cashier, a clinic's records, a host of
podcasts, and a carrier with Spanish names. They were written after all others."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

from tests.draft.applications import (
    DAY,
    INT,
    NOW,
    SPAN,
    TEXT,
    Application,
    Generator,
    Row,
    Table,
    after,
    born,
    during,
    flag,
    holding,
    key,
    money,
    nothing,
    number,
    on_days,
    pick,
    ref,
    share_of,
    text,
)


def each_day(rows_a_day: int) -> tuple[str, Generator]:
    """The days before NOW, each in so many rows."""

    def make(i: int, row: Row, dice: random.Random) -> str:
        return f"{(NOW - timedelta(days=SPAN)).date() + timedelta(days=(i - 1) // rows_a_day)}"

    return DAY, make


def in_turn(*values: Any, kind: str = TEXT) -> tuple[str, Generator]:
    """The values in turn, so that each day has each of them once."""
    return kind, lambda i, row, dice: values[(i - 1) % len(values)]


def only_if(column: str, value: Any, made: tuple[str, Generator]) -> tuple[str, Generator]:
    """What is made, in the rows with one value of another column; else null."""
    kind, make = made
    return kind, lambda i, row, dice: make(i, row, dice) if row[column] == value else None


def coming(days: int, kind: str = "timestamp") -> tuple[str, Generator]:
    """A time that grows with the key, from SPAN days before NOW until some days after it."""

    def make(i: int, row: Row, dice: random.Random) -> str:
        at = NOW - timedelta(days=SPAN) + timedelta(days=row[""] * (SPAN + days), minutes=dice.randint(0, 600))
        return f"{at:%Y-%m-%d}" if kind == DAY else f"{at:%Y-%m-%d %H:%M:%S}"

    return kind, make


# --- a service on Laravel with Cashier -------------------------------------------------------------------------------

PRICES = ("price_basic_m", "price_pro_m", "price_pro_y", "price_team_y")
STARTED = "s.stripe_status not in ('incomplete', 'incomplete_expired')"
CASHIER = Application(
    "cashier",
    (
        Table(
            "users",
            320,
            {
                "id": key(),
                "name": text("N"),
                "email": text("m@x"),
                "email_verified_at": after("email", 1, 0.0),
                "password": text("h"),
                "remember_token": text("t"),
                "current_team_id": ref(180),
                "stripe_id": text("cus"),
                "pm_type": pick(None, "visa", "mastercard"),
                "pm_last_four": pick(None, "4242", "1881", "0005"),
                "locale": pick("en", "nl", "fr"),
                "is_admin": flag(0.01),
                "created_at": born(),
                "trial_ends_at": after("created_at", 14, future=True),
                "updated_at": after("created_at", 20),
                "deleted_at": after("created_at", 30, 0.05),
            },
        ),
        Table(
            "teams",
            180,
            {
                "id": key(),
                "user_id": ref(320),
                "name": text("T"),
                "personal_team": flag(0.8),
                "created_at": born(),
                "updated_at": after("created_at", 20),
            },
        ),
        Table(
            "team_user",
            260,
            {
                "id": key(),
                "team_id": ref(180),
                "user_id": ref(320),
                "role": pick("editor", "admin"),
                "created_at": born(),
                "updated_at": after("created_at", 2),
            },
        ),
        Table(
            "team_invitations",
            60,
            {
                "id": key(),
                "team_id": ref(180),
                "email": text("m@x"),
                "role": pick("editor", "admin"),
                "created_at": born(),
                "updated_at": after("created_at", 2),
            },
        ),
        Table(
            "plans",
            4,
            {
                "id": key(),
                "name": in_turn("Basic", "Pro", "Pro yearly", "Team"),
                "slug": in_turn("basic", "pro", "pro-yearly", "team"),
                "stripe_price": in_turn(*PRICES),
                "price": in_turn(900, 2900, 29000, 99000, kind=INT),
                "currency": pick("eur"),
                "interval": in_turn("month", "month", "year", "year"),
                "created_at": born(),
                "updated_at": after("created_at", 9),
            },
        ),
        Table(
            "subscriptions",
            210,
            {
                "id": key(),
                "user_id": ref(320),
                "type": pick("default"),
                "stripe_id": text("sub"),
                "stripe_status": pick("active", "trialing", "past_due", "incomplete", weights=(12, 2, 1, 1)),
                "stripe_price": pick(*PRICES),
                "quantity": pick(1, 1, 1, 3, kind=INT),
                "created_at": born(),
                "trial_ends_at": after("created_at", 14, 0.4, future=True),
                "ends_at": after("created_at", 60, 0.35, future=True),
                "updated_at": after("created_at", 9),
            },
        ),
        Table(
            "subscription_items",
            210,
            {
                "id": key(),
                "subscription_id": ref(210),
                "stripe_id": text("si"),
                "stripe_product": pick("prod_a", "prod_b"),
                "stripe_price": pick(*PRICES),
                "quantity": number(1, 2),
                "created_at": born(),
                "updated_at": after("created_at", 9),
            },
        ),
        Table(
            "projects",
            420,
            {
                "id": key(),
                "team_id": ref(180),
                "user_id": ref(320),
                "name": text("P"),
                "visibility": pick("private", "public"),
                "archived_at": nothing(),
                "created_at": born(),
                "updated_at": after("created_at", 20),
            },
        ),
        Table(
            "activity_log",
            3000,
            {
                "id": key(),
                "log_name": pick("default", "auth"),
                "description": pick("created", "updated", "logged in"),
                "subject_type": pick("App.Project", "App.Team"),
                "subject_id": ref(400),
                "causer_type": pick("App.User"),
                "causer_id": ref(320),
                "properties": pick("{}"),
                "created_at": born(),
                "updated_at": after("created_at", 1),
            },
        ),
        Table(
            "exports",
            900,
            {
                "id": key(),
                "user_id": ref(320),
                "exporter": pick("csv", "xlsx"),
                "total_rows": number(1, 9000),
                "successful_rows": number(0, 900),
                "completed_at": born(),
                "created_at": born(),
            },
        ),
        Table(
            "notifications",
            1500,
            {
                "id": text("uuid"),
                "type": pick("App.Notifications.Invoice", "App.Notifications.Invite"),
                "notifiable_type": pick("App.User"),
                "notifiable_id": ref(320),
                "data": pick("{}"),
                "created_at": born(),
                "read_at": after("created_at", 5, 0.6),
            },
        ),
        Table("jobs", 20, {"id": key(), "queue": pick("default"), "payload": pick("{}"), "attempts": number(0, 3)}),
        Table(
            "failed_jobs",
            30,
            {"id": key(), "queue": pick("default"), "exception": text("E"), "failed_at": born()},
        ),
        Table(
            "personal_access_tokens",
            80,
            {
                "id": key(),
                "tokenable_type": pick("App.User"),
                "tokenable_id": ref(320),
                "name": text("t"),
                "last_used_at": born(),
                "created_at": born(),
            },
        ),
        Table("migrations", 40, {"id": key(), "migration": text("m"), "batch": number(1, 9)}),
    ),
    wanted={
        "signups": f"select count(*) from users where {during('created_at')}",
        "mrr": (
            "select sum(s.quantity * p.price * case p.interval when 'month' then 12 else 1 end) / 1200.0 "
            "from subscriptions s join plans p on p.stripe_price = s.stripe_price "
            f"where {holding('s.created_at', 's.ends_at')} and {STARTED}"
        ),
        "active_subscriptions": (
            f"select count(*) from subscriptions s where {holding('created_at', 'ends_at')} and {STARTED}"
        ),
        "new_subscriptions": f"select count(*) from subscriptions s where {during('created_at')} and {STARTED}",
        "ended_subscriptions": f"select count(*) from subscriptions s where {during('ends_at')} and {STARTED}",
        "new_projects": f"select count(*) from projects where {during('created_at')}",
        "new_teams": f"select count(*) from teams where {during('created_at')}",
        "active_users": f"select count(distinct causer_id) from activity_log where {during('created_at')}",
    },
    headlines=("signups", "active_subscriptions"),
    harmless=frozenset({"activity_logs", "subscription_quantity"}),
)

# --- a clinic's records ----------------------------------------------------------------------------------------------

KEPT = "voided = false"
CLINIC = Application(
    "clinic",
    (
        Table(
            "person",
            520,
            {
                "person_id": key(),
                "gender": pick("F", "M"),
                "birthdate": born(kind=DAY, shift=12_000),
                "dead": flag(0.02),
                "death_date": nothing(),
                "creator": ref(9),
                "date_created": born(),
                "date_changed": after("date_created", 20, 0.3),
                "voided": flag(0.02),
                "date_voided": nothing(),
            },
            "person_id",
        ),
        Table(
            "person_name",
            520,
            {
                "person_name_id": key(),
                "person_id": ref(520),
                "given_name": text("G"),
                "family_name": text("F"),
                "date_created": born(),
                "voided": flag(0.02),
            },
            "person_name_id",
        ),
        Table(
            "patient",
            480,
            {
                "patient_id": key(),
                "creator": ref(9),
                "date_created": born(),
                "changed_by": ref(9, nulls=0.7),
                "date_changed": after("date_created", 20, 0.3),
                "voided": flag(0.03),
                "void_reason": nothing(TEXT),
            },
            "patient_id",
        ),
        Table(
            "users",
            9,
            {
                "user_id": key(),
                "system_id": text("s"),
                "username": text("u"),
                "password": text("h"),
                "person_id": ref(520),
                "date_created": born(),
                "retired": flag(0.1),
            },
            "user_id",
        ),
        Table(
            "location",
            6,
            {"location_id": key(), "name": text("Ward"), "country": pick("KE"), "date_created": born()},
            "location_id",
        ),
        Table(
            "visit_type",
            3,
            {"visit_type_id": key(), "name": in_turn("Outpatient", "Inpatient", "Home"), "date_created": born()},
            "visit_type_id",
        ),
        Table(
            "visit",
            1100,
            {
                "visit_id": key(),
                "patient_id": ref(480),
                "visit_type_id": ref(3),
                "date_started": born(),
                "date_stopped": after("date_started", 6, 0.95),
                "location_id": ref(6),
                "creator": ref(9),
                "date_created": after("date_started", 1),
                "voided": flag(0.02),
            },
            "visit_id",
        ),
        Table(
            "encounter",
            1800,
            {
                "encounter_id": key(),
                "encounter_type": ref(4),
                "patient_id": ref(480),
                "location_id": ref(6),
                "visit_id": ref(1100, nulls=0.1),
                "encounter_datetime": born(),
                "creator": ref(9),
                "date_created": after("encounter_datetime", 3),
                "voided": flag(0.02),
            },
            "encounter_id",
        ),
        Table(
            "obs",
            4000,
            {
                "obs_id": key(),
                "person_id": ref(520),
                "concept_id": ref(30),
                "encounter_id": ref(1800),
                "obs_datetime": born(),
                "location_id": ref(6),
                "value_numeric": money(1, 200, "double precision"),
                "value_text": nothing(TEXT),
                "creator": ref(9),
                "date_created": after("obs_datetime", 3),
                "voided": flag(0.02),
            },
            "obs_id",
        ),
        Table(
            "orders",
            700,
            {
                "order_id": key(),
                "order_type_id": ref(3),
                "concept_id": ref(30),
                "patient_id": ref(480),
                "encounter_id": ref(1800),
                "urgency": pick("ROUTINE", "STAT", weights=(5, 1)),
                "date_activated": born(),
                "auto_expire_date": after("date_activated", 20, 0.5, future=True),
                "date_stopped": after("date_activated", 10, 0.2),
                "date_created": after("date_activated", 1),
                "voided": flag(0.02),
            },
            "order_id",
        ),
        Table(
            "patient_appointment",
            900,
            {
                "patient_appointment_id": key(),
                "patient_id": ref(480),
                "appointment_service_id": ref(5),
                "provider_id": ref(12),
                "start_date_time": coming(20),
                "end_date_time": after("start_date_time", 1, future=True),
                "appointment_kind": pick("Scheduled", "WalkIn"),
                "status": pick("Completed", "Scheduled", "Cancelled", "Missed", weights=(6, 2, 1, 1)),
                "date_created": born(shift=10),
                "voided": flag(0.01),
            },
            "patient_appointment_id",
        ),
        Table(
            "cashier_bill",
            650,
            {
                "bill_id": key(),
                "receipt_number": text("R"),
                "patient_id": ref(480),
                "status": pick("PAID", "PENDING", "CANCELLED", weights=(8, 1, 1)),
                "date_created": born(),
                "voided": flag(0.01),
            },
            "bill_id",
        ),
        Table(
            "cashier_bill_line_item",
            1300,
            {
                "bill_line_item_id": key(),
                "bill_id": ref(650),
                "item_id": ref(40),
                "price": money(1, 90),
                "quantity": number(1, 3),
                "date_created": born(),
                "voided": flag(0.01),
            },
            "bill_line_item_id",
        ),
        Table(
            "cashier_bill_payment",
            620,
            {
                "bill_payment_id": key(),
                "bill_id": ref(650),
                "payment_mode_id": ref(3),
                "amount": money(5, 120),
                "amount_tendered": share_of("amount", 1.2, "decimal(10,2)"),
                "date_created": born(),
                "voided": flag(0.01),
            },
            "bill_payment_id",
        ),
        Table(
            "hl7_in_archive",
            900,
            {"hl7_in_archive_id": key(), "hl7_source": ref(3), "message_state": ref(4), "date_created": born()},
            "hl7_in_archive_id",
        ),
    ),
    wanted={
        "signups": f"select count(*) from patient where {KEPT} and {during('date_created')}",
        "revenue": f"select sum(amount) from cashier_bill_payment where {KEPT} and {during('date_created')}",
        "visits": f"select count(*) from visit where {KEPT} and {during('date_started')}",
        "active_patients": f"select count(distinct patient_id) from encounter where {KEPT} and {during('encounter_datetime')}",
        "new_encounters": f"select count(*) from encounter where {KEPT} and {during('encounter_datetime')}",
        "new_patient_appointments": f"select count(*) from patient_appointment where {KEPT} and {during('date_created')}",
    },
    headlines=("signups", "revenue", "active_patients"),
    harmless=frozenset(
        {
            "orders",
            "new_obs",
            "cashier_bill_payments",
            "cashier_bill_line_item_revenue",
            "new_persons",
            "active_persons",
        }
    ),
)

# --- a host of podcasts ----------------------------------------------------------------------------------------------

PODCASTS = Application(
    "podcasts",
    (
        Table(
            "users",
            60,
            {
                "id": key(),
                "username": text("u"),
                "is_owner": flag(0.1),
                "last_active": born(),
                "created_at": born(),
                "updated_at": after("created_at", 9),
                "deleted_at": nothing(),
            },
        ),
        Table(
            "podcasts",
            40,
            {
                "id": key(),
                "actor_id": ref(90),
                "handle": text("h"),
                "title": text("T"),
                "language_code": pick("en", "fr", "de"),
                "category_id": ref(12),
                "type": pick("episodic", "serial"),
                "owner_name": text("O"),
                "owner_email": text("m@x"),
                "is_blocked": flag(0.0),
                "created_by": ref(60),
                "created_at": born(),
                "updated_at": after("created_at", 9),
            },
        ),
        Table(
            "episodes",
            500,
            {
                "id": key(),
                "podcast_id": ref(40),
                "title": text("E"),
                "audio_duration": number(300, 5400),
                "number": number(1, 90),
                "season_number": number(1, 4),
                "type": pick("full", "trailer", "bonus", weights=(8, 1, 1)),
                "is_premium": flag(0.2),
                "posts_count": number(0, 9),
                "created_at": born(),
                "published_at": after("created_at", 8, 0.92, future=True),
                "updated_at": after("created_at", 9),
            },
        ),
        Table(
            "analytics_podcasts",
            SPAN * 10,
            {
                "podcast_id": in_turn(*range(1, 11), kind=INT),
                "date": each_day(10),
                "duration": number(1000, 90_000),
                "bandwidth": number(100_000, 9_000_000),
                "unique_listeners": number(5, 90),
                "hits": number(10, 300),
                "created_at": born(),
                "updated_at": after("created_at", 1),
            },
            "",
        ),
        Table(
            "analytics_podcasts_by_service",
            SPAN * 10,
            {
                "podcast_id": in_turn(*(i for i in range(1, 6) for _ in (0, 1)), kind=INT),
                "date": each_day(10),
                "service": in_turn("Apple Podcasts", "Spotify"),
                "is_bot": in_turn(0, kind=INT),
                "hits": number(1, 100),
                "created_at": born(),
            },
            "",
        ),
        Table(
            "subscriptions",
            260,
            {
                "id": key(),
                "podcast_id": ref(40),
                "email": text("m@x"),
                "token": text("t"),
                "status": pick("active", "suspended", weights=(9, 1)),
                "status_message": nothing(TEXT),
                "expires_at": nothing(),
                "created_by": ref(60),
                "created_at": born(),
                "updated_at": after("created_at", 9),
            },
        ),
        Table(
            "fediverse_actors",
            900,
            {
                "id": key(),
                "uri": text("u"),
                "username": text("u"),
                "domain": pick("a.social", "b.social"),
                "followers_count": number(0, 99),
                "created_at": born(),
            },
        ),
        Table(
            "fediverse_follows",
            800,
            {"id": key(), "actor_id": ref(900), "target_actor_id": ref(40), "created_at": born()},
        ),
        Table(
            "fediverse_posts",
            700,
            {
                "id": text("uuid"),
                "actor_id": ref(900),
                "episode_id": ref(500, nulls=0.6),
                "message": text("M"),
                "favourites_count": number(0, 9),
                "published_at": born(),
                "created_at": born(),
            },
        ),
        Table(
            "ad_campaigns",
            30,
            {
                "id": key(),
                "advertiser": text("A"),
                "budget": money(500, 9000),
                "cpm": money(10, 30),
                "status": pick("running", "finished", "draft"),
                "starts_on": born(kind=DAY),
                "ends_on": after("starts_on", 30, kind=DAY, future=True),
                "created_at": born(),
            },
        ),
        Table(
            "ad_campaign_stats",
            SPAN * 5,
            {
                "campaign_id": in_turn(1, 2, 3, 4, 5, kind=INT),
                "date": each_day(5),
                "impressions": number(500, 9000),
                "clicks": number(1, 90),
                "revenue": money(10, 200),
            },
            "",
        ),
    ),
    wanted={
        "revenue": f"select sum(revenue) from ad_campaign_stats where {on_days('date')}",
        "ad_campaign_stat_impressions": f"select sum(impressions) from ad_campaign_stats where {on_days('date')}",
        "analytics_podcast_hits": f"select sum(hits) from analytics_podcasts where {on_days('date')}",
        "analytics_podcast_duration": f"select sum(duration) from analytics_podcasts where {on_days('date')}",
        "new_episodes": f"select count(*) from episodes where {during('created_at')}",
        "new_subscriptions": f"select count(*) from subscriptions where {during('created_at')}",
        "signups": f"select count(*) from users where {during('created_at')}",
    },
    headlines=("revenue", "signups"),
    harmless=frozenset(
        {
            "analytics_podcast_bandwidth",
            "analytics_podcast_unique_listeners",
            "ad_campaign_stat_clicks",
            "active_subscriptions",
            "new_fediverse_actors",
            "new_podcasts",
        }
    ),
)

# --- a carrier, in Spanish -------------------------------------------------------------------------------------------

CARRIER = Application(
    "carrier",
    (
        Table(
            "clientes",
            230,
            {
                "id": key(),
                "razon_social": text("S"),
                "nif": text("B"),
                "correo": text("m@x"),
                "telefono": text("600"),
                "provincia": pick("Madrid", "Sevilla", "Burgos"),
                "tipo_cliente": pick("empresa", "particular"),
                "fecha_alta": born(),
                "fecha_baja": after("fecha_alta", 60, 0.08),
                "activo": flag(0.92),
            },
        ),
        Table(
            "empleados",
            24,
            {
                "id": key(),
                "nombre": text("N"),
                "apellidos": text("A"),
                "dni": text("D"),
                "puesto": pick("conductor", "oficina"),
                "salario": number(18_000, 40_000),
                "fecha_alta": born(kind=DAY),
            },
        ),
        Table(
            "vehiculos",
            18,
            {
                "id": key(),
                "matricula": text("M"),
                "tipo": pick("furgoneta", "camion"),
                "capacidad_kg": number(500, 9000),
                "kilometros": number(10_000, 200_000),
                "fecha_compra": born(kind=DAY),
                "precio_compra": number(18_000, 60_000),
            },
        ),
        Table(
            "envios",
            1600,
            {
                "id": key(),
                "cliente_id": ref(230),
                "vehiculo_id": ref(18, nulls=0.1),
                "codigo_seguimiento": text("E"),
                "servicio": pick("24h", "48h", "economico"),
                "peso_kg": money(1, 90, "decimal(8,2)"),
                "bultos": number(1, 5),
                "importe": money(5, 90),
                "estado": pick("entregado", "en_reparto", "pendiente", "devuelto", "anulado", weights=(14, 2, 2, 1, 1)),
                "fecha_creacion": born(),
                "fecha_recogida": after("fecha_creacion", 1, 0.95),
                "fecha_entrega_prevista": after("fecha_creacion", 4, kind=DAY, future=True),
                "fecha_entrega": after("fecha_creacion", 4, 0.8),
            },
        ),
        Table(
            "eventos_envio",
            5000,
            {
                "id": key(),
                "envio_id": ref(1600),
                "estado": pick("recogido", "en_ruta", "entregado"),
                "oficina": pick("Madrid", "Burgos"),
                "fecha": born(),
            },
        ),
        Table(
            "facturas",
            420,
            {
                "id": key(),
                "cliente_id": ref(230),
                "numero": text("F"),
                "base_imponible": money(50, 900),
                "iva": share_of("base_imponible", 0.21, "decimal(10,2)"),
                "importe_total": share_of("base_imponible", 1.21, "decimal(10,2)"),
                "estado": pick("pagada", "pendiente", "vencida", "anulada", weights=(7, 2, 1, 1)),
                "fecha_emision": born(kind=DAY),
                "fecha_vencimiento": after("fecha_emision", 40, kind=DAY, future=True),
                "fecha_pago": only_if("estado", "pagada", after("fecha_emision", 35, kind=DAY)),
            },
        ),
        Table(
            "lineas_factura",
            900,
            {
                "id": key(),
                "factura_id": ref(420),
                "concepto": text("C"),
                "cantidad": number(1, 9),
                "precio_unitario": money(5, 60),
                "importe": money(5, 200),
            },
        ),
        Table(
            "repostajes",
            500,
            {
                "id": key(),
                "vehiculo_id": ref(18),
                "litros": money(20, 90),
                "importe": money(30, 140),
                "kilometros": number(10_000, 200_000),
                "fecha": born(),
            },
        ),
        Table(
            "gastos",
            260,
            {
                "id": key(),
                "proveedor": text("P"),
                "categoria": pick("combustible", "seguro", "taller"),
                "importe": money(30, 900),
                "fecha": born(kind=DAY),
            },
        ),
        Table(
            "incidencias",
            190,
            {
                "id": key(),
                "envio_id": ref(1600),
                "tipo": pick("retraso", "rotura", "perdida"),
                "descripcion": text("D"),
                "fecha_apertura": born(),
                "fecha_cierre": after("fecha_apertura", 9, 0.7),
            },
        ),
    ),
    wanted={
        "signups": f"select count(*) from clientes where {during('fecha_alta')}",
        "revenue": f"select sum(importe_total) from facturas where estado = 'pagada' and {on_days('fecha_pago')}",
        "invoices": f"select count(*) from facturas where estado = 'pagada' and {on_days('fecha_pago')}",
        "new_shipments": f"select count(*) from envios where {during('fecha_creacion')}",
        "active_customers": f"select count(distinct cliente_id) from envios where {during('fecha_creacion')}",
        "open_incidents": f"select count(*) from incidencias where {holding('fecha_apertura', 'fecha_cierre')}",
        "new_incidents": f"select count(*) from incidencias where {during('fecha_apertura')}",
    },
    headlines=("signups", "revenue"),
    harmless=frozenset(
        {
            "paying_customers",
            "current_customers",
            "invoice_line_sold",
            "shipping_events",
            "new_repostajes",
            "new_expenses",
        }
    ),
)
NEWCOMERS = (CASHIER, CLINIC, PODCASTS, CARRIER)
