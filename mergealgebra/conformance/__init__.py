"""Conformance: what any implementation of TIES computes, found out by asking it.

`questions` is what goes out and comes back, `targets` whom to ask, `programs` and `processes` how a program is asked
whatever it does, `protocol` the lines it speaks, `adapters` known implementations that speak them.

`judging` asks and decides: `probes` and `inference` read the options off the answers, `standings` compares with the
named dialects, `stability` looks for what no dialect may depend on, `breadth` asks at random. A `verdict` is shown by
`report`, `junit` and `page`, many of them by `matrix`.
"""
