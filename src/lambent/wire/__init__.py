"""How AWS speaks: bytes to parameters and results to bytes, driven by the models that botocore ships.

The room names no service, knows neither servers nor the store, and is the only one that imports botocore. A
request walks through it in four steps, one file each::

    HttpRequest ──▶ route.Router.route ──▶ parse.parse ──▶ validate.validate ──▶ (the operation of a service)
    HttpResponse ◀── serialize.serialize / serialize.serialize_error ◀──────────── (its result, or a
    ServiceError)

`model.load_api` reads a model once and compiles it: every operation gets a plan (where each member sits, how
it is encoded), so that a request is a walk over the request, never over the model. Protocols are the files of
`wire.protocols`, behind one door. `sigv4` verifies signatures.
"""
