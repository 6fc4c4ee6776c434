"""THE WORDS: what Lambent talks about, as frozen values and pure functions.

No I/O, no asyncio, no logging here. Every other room may import this one; this one imports only names and time
formats (`lambent.arn`, `lambent.clock`, `lambent.errors`).
"""
