"""EuroSAT (Helber et al. 2019, arXiv:1709.00029) as torchvision reads it, from the user's mirror of Hugging Face."""

from pathlib import Path

from huggingface_hub import hf_hub_download
from torchvision import datasets
from torchvision.datasets.utils import check_integrity, extract_archive

from diffaug.runtime import endpoints

# torchvision's own file; it names huggingface.co, whatever the user's endpoint is.
NAME, FILE, COMMIT = "torchgeo/eurosat", "EuroSAT.zip", "c877bcd43f099cd0196738f714544e355477f3fd"
MD5 = "c8fa014336c82ac7804f0398fcb19387"


class EuroSat(datasets.EuroSAT):
    """The same images; its file comes from HF_ENDPOINT, through the cache of huggingface_hub."""

    def download(self) -> None:
        """Unpack the file. Raises RuntimeError if it is not the one that torchvision knows."""
        if self._check_exists():
            return
        archive = hf_hub_download(NAME, FILE, repo_type="dataset", revision=COMMIT, endpoint=endpoints.hugging_face())
        if not check_integrity(archive, MD5):
            raise RuntimeError(f"{archive} does not have the MD5 {MD5}; remove it")
        Path(self._base_folder).mkdir(parents=True, exist_ok=True)
        extract_archive(archive, self._base_folder)


def url() -> str:
    """The address of its file."""
    return f"{endpoints.hugging_face()}/datasets/{NAME}/resolve/{COMMIT}/{FILE}"
