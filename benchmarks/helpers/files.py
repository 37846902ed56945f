"""Write made files into a folder."""

from pathlib import Path


def write_files(folder: Path, files: dict[str, str | bytes]) -> Path:
    """Write files, with the folders that their names have."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder
