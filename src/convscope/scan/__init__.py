"""A network over a whole data set: what each unit looks for, which are dead, what a class looks like.

statistics.py   monoids; histogram.py, selectivity.py beside them
sources.py      pictures from folders, archives, tables, data sets, iterables
runner.py       shard after shard, on this machine; store.py writes them so that a kill loses nothing that was finished
result.py       Scan: what a finished scan found
"""
