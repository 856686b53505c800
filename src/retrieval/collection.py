"""What a collection of vectors is in Chroma, embedded or on a server."""

# Of the embedded store; on a server, its name says whose index it is.
COLLECTION = "passages"
# Of the graph, embedded and on a server. If a search looks at Chroma's 100 nodes for our 100 candidates, what it finds
# depends on the order in which rows entered the graph: two builds of 1,480 chunks gave 94 % of 500 questions the same
# first ten, with 400 nodes all of them. At 10,000 chunks, 100 instead of 97 % of the true first ten are found then, for
# 0.7 ms more of CPU.
GRAPH = {"space": "cosine", "ef_search": 400}
