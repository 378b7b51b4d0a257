"""faiss's assignment, in the peers' environment: seconds of each round, and the ids' checksum.

python -m benchmarks.units_faiss FRAMES.npy CENTROIDS.npy ROUNDS THREADS
"""

import hashlib
import json
import sys
import time

import faiss
import numpy as np


def main() -> None:
    """Print one line of JSON."""
    frames, centroids = np.load(sys.argv[1]), np.load(sys.argv[2])
    rounds, threads = int(sys.argv[3]), int(sys.argv[4])
    faiss.omp_set_num_threads(threads)
    index = faiss.IndexFlatL2(centroids.shape[1])
    index.add(centroids)
    index.search(frames[:4096], 1)
    seconds = []
    found = np.zeros(0, np.int32)
    for _ in range(rounds):
        started = time.perf_counter()
        found = index.search(frames, 1)[1][:, 0].astype(np.int32)
        seconds.append(time.perf_counter() - started)
    checksum = hashlib.sha256(found.tobytes()).hexdigest()[:16]
    print(json.dumps({"seconds": seconds, "checksum": checksum}))


if __name__ == "__main__":
    main()
