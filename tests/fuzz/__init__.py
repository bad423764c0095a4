"""Fuzzing: every parser, and whole shards, with inputs that nobody would send.

``target``     what a target is, and what every one is held to: no exception but the declared ones, no traceback in the log, little time
``source``     bytes as choices: numbers at their edges, texts, whole messages by their types
``mutator``    inputs from inputs, without a coverage-guided fuzzer
``runs``       a run of a target: plain or guided, its corpus, what was found, the summary
``targets``    all of them by name
``town``       a simulated server with people for the targets that play a whole shard
``answers``    is a frame answered?

Parsers: ``frames`` (WebSocket, both transports, protobuf, login), ``heads`` (HTTP heads, PROXY protocol, a whole arrival),
``envelopes`` (bus and links), ``records`` (log of a shard, stored records), ``tokens``, ``texts`` (JSON, parameters, names, configuration),
``uploads`` (forms, kinds of files), ``pushes`` (stored messages as pushes). Whole: ``exchanges`` (HTTP bytes through the gateway to
shards), ``shards`` (frames, calls, link messages), ``stored`` (rows of a store that are not what was written).

``python -m tests.fuzz TARGET --runs N`` runs one for long; inputs worth keeping are in ``corpus/TARGET/`` and are played by every test run.
"""
