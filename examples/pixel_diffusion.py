"""A diffusion in pixels, in one file: trains a small U-Net on Fashion-MNIST and draws 64 images with it.

    python examples/pixel_diffusion.py --schedule cosine --out pixels

It follows "Denoising Diffusion Probabilistic Models" (DDPM; Ho, Jain and Abbeel 2020, arXiv:2006.11239), with the parts
of the library diffusers. The images have 28 x 28 grey pixels, so that a laptop needs minutes. It writes loss.png,
samples.png and denoising.gif. It needs torch, torchvision, diffusers and matplotlib, and nothing of this project.
"""

import argparse
import gzip
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import DDIMScheduler, DDPMScheduler, UNet2DModel
from diffusers.training_utils import EMAModel
from matplotlib.figure import Figure
from torchvision.datasets import FashionMNIST
from torchvision.transforms.functional import to_pil_image
from torchvision.utils import make_grid

SIDE = 28  # pixels; the U-Net halves it twice, to 14 and 7
NOISE_STEPS = 1000  # T of the paper: so many small steps lead from an image to noise
# How beta, the variance of the noise that a step adds, grows with the step: diffusers' names.
SCHEDULES = {
    "linear": "linear",  # DDPM
    "cosine": "squaredcos_cap_v2",  # Nichol and Dhariwal 2021, arXiv:2102.09672
    "quadratic": "scaled_linear",  # the square root of beta grows linearly
    "sigmoid": "sigmoid",
}
SAMPLERS = {"ddpm": DDPMScheduler, "ddim": DDIMScheduler}


def read_images(folder: Path) -> torch.Tensor:
    """The training images: float32 (N, 1, 28, 28) in [-1, 1]. They are downloaded if the folder does not have them."""
    packed = folder / "train-images-idx3-ubyte.gz"  # the file as it is published
    try:
        if packed.is_file():  # a head of 16 bytes, then a byte for each pixel
            content = gzip.decompress(packed.read_bytes())[16:]
            pixels = torch.tensor(np.frombuffer(content, np.uint8)).view(-1, SIDE, SIDE)
        else:
            pixels = FashionMNIST(str(folder), download=True).data
    except (OSError, EOFError, RuntimeError) as error:
        raise SystemExit(f"{folder}: {packed.name} is damaged, or absent and not downloaded ({error})") from None
    return pixels[:, None].float() / 127.5 - 1


def train(images: torch.Tensor, noising: DDPMScheduler, options: argparse.Namespace, device: str):
    """The trained U-Net, and the loss of every step."""
    # A channel goes in, the grey image; one comes out, the noise in it. Between: 16, 32, 64 at 28, 14 and 7 pixels.
    shape = {"sample_size": SIDE, "in_channels": 1, "out_channels": 1, "block_out_channels": (16, 32, 64)}
    down, up = ("DownBlock2D", "DownBlock2D", "AttnDownBlock2D"), ("AttnUpBlock2D", "UpBlock2D", "UpBlock2D")
    unet = UNet2DModel(**shape, down_block_types=down, up_block_types=up, layers_per_block=1, norm_num_groups=8)
    unet.to(device)
    optimizer = torch.optim.AdamW(unet.parameters(), lr=1e-3)
    average = EMAModel(unet.parameters(), decay=0.995)  # an average of the last weights draws better than the last one
    losses, start = [], time.time()
    for step in range(1, options.steps + 1):
        # Algorithm 1 of the paper. Take some images x_0, and for each of them a step t and a noise.
        clean = images[torch.randint(len(images), (options.batch,))].to(device)
        t = torch.randint(NOISE_STEPS, (options.batch,), device=device)
        noise = torch.randn_like(clean)
        # The forward process needs no loop: x_t is a weighted sum of the image and the noise (equation 4).
        noisy = noising.add_noise(clean, noise, t)
        # The U-Net sees x_t and t, and guesses the noise. The loss says how far it is from the noise that was added.
        guess = unet(noisy, t).sample
        distance = F.huber_loss if options.loss == "huber" else F.mse_loss  # mse: equation 14
        loss_of_each = distance(guess, noise, reduction="none").mean(dim=(1, 2, 3))
        loss = (loss_of_each * p2_weight(noising, t, options.p2)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        average.step(unet.parameters())
        losses.append(loss.item())
        if step % max(1, options.steps // 20) == 0:
            print(f"step {step}: loss {np.mean(losses[-200:]):.4f}, {time.time() - start:.0f} s", flush=True)
    average.copy_to(unet.parameters())
    return unet.eval(), losses


def p2_weight(noising: DDPMScheduler, t: torch.Tensor, gamma: float) -> torch.Tensor:
    """Choi et al. 2022 (arXiv:2204.00227): steps with little noise teach only fine details, so they count less. The
    weight is 1 / (1 + SNR)^gamma; SNR: the variance of the image in x_t over that of the noise. Gamma 0: it is 1."""
    signal = noising.alphas_cumprod.to(t.device)[t]
    return (1 + signal / (1 - signal)) ** -gamma


@torch.inference_mode()
def draw(unet: UNet2DModel, noising: DDPMScheduler, count: int, kind: type, steps: int, device: str):
    """The reverse process: a list of x_t (count, 1, 28, 28), from pure noise to images."""
    # DDPM is algorithm 2 of the paper: each step takes some noise away and adds a little new one, which mends faults of
    # the steps before. DDIM (Song et al. 2021, arXiv:2010.02502) adds none: the first noise decides what is drawn.
    scheduler = kind(NOISE_STEPS, trained_betas=noising.betas.tolist(), timestep_spacing="trailing")
    scheduler.set_timesteps(steps)
    states = [torch.randn(count, 1, SIDE, SIDE).to(device)]
    for t in scheduler.timesteps:
        guess = unet(states[-1], t).sample
        states.append(scheduler.step(guess, t, states[-1]).prev_sample)
    return states


def to_picture(x: torch.Tensor, columns: int):
    """Images in [-1, 1] side by side, twice as large."""
    picture = to_pil_image(make_grid((x.cpu().clamp(-1, 1) + 1) / 2, columns, padding=1)).convert("L")
    return picture.resize((picture.width * 2, picture.height * 2), 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("fashion-mnist"), help="folder with the images, or for them")
    parser.add_argument("--out", type=Path, default=Path("pixels"), help="folder for the pictures")
    parser.add_argument("--schedule", choices=SCHEDULES, default="linear")
    parser.add_argument("--loss", choices=("mse", "huber"), default="mse")
    parser.add_argument("--p2", type=float, default=0.0, metavar="GAMMA", help="p2 weight of the loss, such as 1")
    parser.add_argument("--steps", type=int, default=3000, help="of the training (default: 3000)")
    parser.add_argument("--batch", type=int, default=32, help="images of a training step (default: 32)")
    parser.add_argument("--sampler", choices=SAMPLERS, default="ddpm")
    parser.add_argument("--draw-steps", type=int, default=100, help=f"of {NOISE_STEPS} (default: 100)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if min(options.steps, options.batch) < 1 or not 1 <= options.draw_steps <= NOISE_STEPS:
        parser.error(f"--steps and --batch are at least 1, and --draw-steps is from 1 to {NOISE_STEPS}")

    torch.manual_seed(options.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    noising = DDPMScheduler(NOISE_STEPS, beta_schedule=SCHEDULES[options.schedule])
    unet, losses = train(read_images(options.data), noising, options, device)

    options.out.mkdir(parents=True, exist_ok=True)
    window = -(-len(losses) // 60)
    means = [np.mean(losses[first : first + window]) for first in range(0, len(losses), window)]
    axes = Figure(figsize=(6, 3.5), layout="tight").subplots()
    axes.semilogy(np.arange(len(means)) * window, means)
    axes.set(xlabel="training step", ylabel=f"{options.loss} loss, mean of {window} steps")
    axes.figure.savefig(options.out / "loss.png")

    states = draw(unet, noising, 64, SAMPLERS[options.sampler], options.draw_steps, device)
    to_picture(states[-1], 8).save(options.out / "samples.png")
    shown = np.linspace(0, len(states) - 1, min(26, len(states))).astype(int)
    first, *rest = [to_picture(states[number][:16], 4).quantize(16) for number in shown]
    times = [120] * len(rest) + [2000]  # milliseconds; the last one stays
    first.save(options.out / "denoising.gif", save_all=True, append_images=rest, duration=times, loop=0)
    print(f"{options.out}: loss.png, samples.png, denoising.gif")


if __name__ == "__main__":
    main()
