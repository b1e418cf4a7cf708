"""The market's settings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from libs.config import field
from libs.runtime import ServiceConfig
from services.market.domain import terms
from services.market.domain.schedule import Scheduled, schedule
from services.market.domain.terms import Terms
from services.market.sources.cardmarket import DEFAULT_URL as CARDMARKET
from services.market.sources.justtcg import DEFAULT_URL as JUSTTCG
from services.market.sources.pokemontcg import DEFAULT_URL as POKEMONTCG
from services.market.sources.pricecharting import DEFAULT_URL as PRICECHARTING
from services.market.sources.scryfall import DEFAULT_URL as SCRYFALL
from services.market.sources.tcgcsv import DEFAULT_URL
from services.market.sources.tcgdex import DEFAULT_URL as TCGDEX

DEFAULT_SOURCES = (
    "tcgplayer=USD/near_mint,cardmarket=EUR,pokemontcg=USD/near_mint,tcgdex=USD/near_mint,"
    "justtcg=USD/near_mint,pricecharting=USD/ungraded,scryfall=USD/near_mint,demo=USD/near_mint,"
    "justtcg-lightly-played=USD/lightly_played,justtcg-moderately-played=USD/moderately_played,"
    "justtcg-heavily-played=USD/heavily_played,justtcg-damaged=USD/damaged,"
    "pricecharting-psa-10=USD/psa_10,pricecharting-grade-9=USD/grade_9"
)


def at_least_one(text: str) -> int:
    """Reads a whole number above 0. Raises ValueError."""
    if not re.fullmatch(r"[1-9][0-9]{0,3}", text):
        raise ValueError("expected a whole number from 1 on")
    return int(text)


@dataclass(frozen=True)
class ClosingConfig:
    """When months are closed, which both the market and its pipeline's process go by."""

    open_months: int = field(
        "PQ_MARKET_OPEN_MONTHS",
        2,
        help="months whose quotes stay rows, up to that of the newest day; at least 1",
        parse=at_least_one,
    )
    quiet: float = field(
        "PQ_MARKET_QUIET",
        60.0,
        help="seconds without a file for a month or an earlier one, before it is closed",
    )


@dataclass(frozen=True)
class Config(ServiceConfig, ClosingConfig):
    """What the market needs."""

    sources: Mapping[str, Terms] = field(
        "PQ_MARKET_SOURCES",
        terms.read(DEFAULT_SOURCES),
        help="sources, their currencies and the condition they quote; a card's headline is of the"
        " first that quotes it",
        parse=terms.read,
    )
    raw: str = field(
        "PQ_MARKET_RAW",
        ".pq/raw",
        help="where files are kept as they came: a folder, or an object store such as s3://…",
    )
    schedule: tuple[Scheduled, ...] = field(
        "PQ_MARKET_SCHEDULE",
        (),
        help="sources to fetch each day and when, such as tcgcsv=21:30@UTC; none by default",
        parse=schedule,
    )
    contact: str = field(
        "PQ_MARKET_CONTACT",
        "",
        help="an address or page that sources' servers are told to write to; none is asked without",
    )
    tcgcsv_url: str = field("PQ_MARKET_TCGCSV_URL", DEFAULT_URL, help="where tcgcsv is served")
    cardmarket_url: str = field(
        "PQ_MARKET_CARDMARKET_URL", CARDMARKET, help="where Cardmarket's price guide is served"
    )
    pokemontcg_url: str = field(
        "PQ_MARKET_POKEMONTCG_URL", POKEMONTCG, help="where the Pokémon TCG API is served"
    )
    tcgdex_url: str = field("PQ_MARKET_TCGDEX_URL", TCGDEX, help="where TCGdex is served")
    scryfall_url: str = field("PQ_MARKET_SCRYFALL_URL", SCRYFALL, help="where Scryfall is served")
    justtcg_url: str = field("PQ_MARKET_JUSTTCG_URL", JUSTTCG, help="where JustTCG is served")
    justtcg_key: str = field(
        "PQ_MARKET_JUSTTCG_KEY", "", help="the key for JustTCG, which is off without", secret=True
    )
    pricecharting_url: str = field(
        "PQ_MARKET_PRICECHARTING_URL", PRICECHARTING, help="where PriceCharting is served"
    )
    pricecharting_token: str = field(
        "PQ_MARKET_PRICECHARTING_TOKEN",
        "",
        help="the token for PriceCharting, which is off without",
        secret=True,
    )
    max_file_bytes: int = field(
        "PQ_MARKET_MAX_FILE_BYTES", 32 << 20, help="largest file taken, as it comes"
    )
    max_plain_bytes: int = field(
        "PQ_MARKET_MAX_PLAIN_BYTES", 64 << 20, help="largest file taken, unpacked"
    )
    max_rows: int = field("PQ_MARKET_MAX_ROWS", 500_000, help="most rows taken in one file")
    max_days_ahead: int = field(
        "PQ_MARKET_MAX_DAYS_AHEAD", 7, help="how far ahead of today (UTC) a day of prices may be"
    )


@dataclass(frozen=True)
class PipelineConfig(ClosingConfig):
    """What the pipeline's process needs of the same environment."""

    database_url: str = field("PQ_DATABASE_URL", help="the market's database", secret=True)
    idle: float = field(
        "PQ_MARKET_PIPELINE_IDLE",
        20.0,
        help="seconds for which the pipeline's process keeps its matrices after the last run",
    )
    log_level: str = field("PQ_LOG_LEVEL", "INFO", help="least level of records that are written")
    log_format: str = field("PQ_LOG_FORMAT", "auto", help="json, plain, or auto")
