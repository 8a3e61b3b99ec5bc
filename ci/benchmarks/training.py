"""CPU seconds of a step, the best of some: of a training in PyTorch, or of work that is gemv or gemm in NumPy.

    training.py train WIDTH BATCH | gemv SIZE | gemm SIZE
"""
import sys
import time


def training(width, batch):
    import torch  # pylint: disable=import-outside-toplevel
    torch.manual_seed(0)
    torch.set_num_threads(1)
    x, y = torch.randn(batch, width), torch.randint(0, 10, (batch,))
    model = torch.nn.Sequential(torch.nn.Linear(width, width), torch.nn.ReLU(), torch.nn.Linear(width, width),
                                torch.nn.ReLU(), torch.nn.Linear(width, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

    def step():
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    return step


def product(size, columns):
    import numpy as np  # pylint: disable=import-outside-toplevel
    random = np.random.default_rng(0)
    a, b = (random.standard_normal((size, n), dtype="f") for n in (size, columns))
    b = b[:, 0].copy() if columns == 1 else b
    return lambda: a @ b


def best_of(step, rounds=12, seconds=0.05):
    step()
    began = time.process_time()
    step()
    steps = max(1, int(seconds / max(time.process_time() - began, 1e-6)))
    best = float("inf")
    for _ in range(rounds):
        began = time.process_time()
        for _ in range(steps):
            step()
        best = min(best, (time.process_time() - began) / steps)
    return best


def main():
    what, sizes = sys.argv[1], [int(size) for size in sys.argv[2:]]
    step = training(*sizes) if what == "train" else product(sizes[0], sizes[0] if what == "gemm" else 1)
    print(best_of(step))


if __name__ == "__main__":
    main()
