"""What a user would write with the ``openai`` client: a semaphore and a gather. One JSON line.

Run by benchmarks.endpoint in an environment of its own: ADDRESS IN_FLIGHT COUNT.
"""

import asyncio
import json
import resource
import sys
import time

from openai import AsyncOpenAI


async def run(url: str, in_flight: int, count: int) -> None:
    """Send ``count`` requests, ``in_flight`` at once."""
    client = AsyncOpenAI(base_url=url, api_key="none", max_retries=5)
    semaphore = asyncio.Semaphore(in_flight)
    done: list[float] = []

    async def one(number: int) -> None:
        text = f"Instruction: Tell me about the number {number}. " + "It matters to me. " * 15
        async with semaphore:
            await client.chat.completions.create(
                model="tiny-chat",
                messages=[
                    {"role": "system", "content": "Be brief."},
                    {"role": "user", "content": text},
                ],
                max_tokens=64,
                seed=1,
            )
        done.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(one(number) for number in range(count)))
    tenth = count // 10
    print(
        json.dumps(
            {
                "seconds": done[-1],
                "settled_rate": (count - 2 * tenth - 1) / (done[-tenth - 1] - done[tenth]),
                "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            }
        )
    )


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
