"""THE PATH: who runs an invocation.

`Invoker.invoke` is the story of one invocation: counted against its limits, assigned to an environment of its
version's pool, run, and returned. Rooms above hand it an `Invocation` and get an `Outcome`.
"""
