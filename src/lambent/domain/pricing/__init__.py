"""What things cost: price lists as data, and exact arithmetic over them. Pure.

`price_list` has AWS's prices and the form of any list, `own` reads one of one's own, `components` says what a row
of the ledger costs by component, `invocation` what one invocation does.
"""

from lambent.domain.pricing.invocation import REQUEST_USD, Cost, price_of, price_of_stream

__all__ = ["REQUEST_USD", "Cost", "price_of", "price_of_stream"]
