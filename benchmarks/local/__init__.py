"""Local models against bare llama.cpp, llama.cpp's own server, and Inspect AI on that server.

__main__.py    python -m benchmarks.local
speed.py       tokens per second through the loop
reuse.py       tokens evaluated, over tokens that had to be
batch.py       8 runs decoded at once, over one
campaign.py    the same campaign, played in five ways
peer.py        Inspect AI plays it, in a process of its own
subject.py     the models, and how they are asked
bare.py        the floor: llama.cpp's C interface in a tight loop
watch.py       seconds, and memory
"""
