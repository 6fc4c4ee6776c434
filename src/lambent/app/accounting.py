"""The account of what ran: what answers for the ledger, the watch over budgets, a price list of one's own."""

from __future__ import annotations

import contextlib
import logging
import tomllib
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path

from lambent.clock import Clock
from lambent.domain.pricing.own import PriceListError, own_prices
from lambent.domain.pricing.price_list import AWS, PriceList
from lambent.gateway.accounting import Accounting
from lambent.gateway.admission import Admit
from lambent.gateway.budgets import BudgetPaths
from lambent.services.lambda_ import LambdaService
from lambent.settings import SettingsError
from lambent.store.budgets import Budgets
from lambent.store.functions import Functions
from lambent.store.sqlite.documents import SqliteDocuments
from lambent.store.sqlite.ledger import SqliteLedger
from lambent.telemetry.budgets import BudgetWatch, Tell
from lambent.telemetry.stream import FactStream
from lambent.telemetry.upkeep import UpkeepMeter

_log = logging.getLogger(__name__)


async def build_accounting(
    stack: contextlib.AsyncExitStack,
    *,
    documents: SqliteDocuments,
    ledger: SqliteLedger,
    functions: Functions,
    lambda_: LambdaService,
    tell: Tell,
    settle: Callable[[], Awaitable[None]],
    admit: Admit,
    clock: Clock,
    own: PriceList | None,
) -> Accounting:
    """Build what answers for the ledger, with the watch over budgets, which ends with the stack."""
    budgets = Budgets(documents)
    watch = await stack.enter_async_context(
        BudgetWatch(
            budgets=budgets,
            ledger=ledger,
            functions=functions,
            change=lambda_.records.change,
            tell=tell,
            prices=AWS,
            clock=clock,
        )
    )
    paths = BudgetPaths(budgets=budgets, watch=watch, functions=functions, admit=admit)
    return Accounting(ledger=ledger, settle=settle, admit=admit, clock=clock, own=own, budgets=paths)


async def settle(stream: FactStream, upkeep: UpkeepMeter) -> None:
    """Return when what has happened so far is in the ledger."""
    await stream.flush()
    await upkeep.settled()


def read_own_prices(path: str) -> PriceList | None:
    if not path:
        return None
    try:
        text = Path(path).expanduser().read_text(encoding="utf-8")
        return own_prices(tomllib.loads(text, parse_float=Decimal))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"The price list {path} (own_prices) cannot be read: {error}.") from error
    except PriceListError as error:
        raise SettingsError(f"{path} (own_prices): {error}") from error
