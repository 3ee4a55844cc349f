"""Images by digest where there is one: a tag may move between a trial and its rollout.

Role: from an image as it was declared and what a pod really ran to a name that cannot move. Must
not know: registries. Trade-off: the digest is put behind the declared repository, so a mirror that
a node pulls from does not get into the target.
"""

import re

_DIGEST = re.compile(r"@(sha256:[0-9a-f]{64})$")
_TAG = re.compile(r":[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$")


def by_digest(image: str, image_id: str | None) -> str | None:
    """Return the image by digest; None where a pod's image ID names none.

    Images that were loaded into a node by hand have an ID without a repository, which no other node
    could pull.
    """
    if _DIGEST.search(image):
        return image
    found = _DIGEST.search(image_id or "")
    return None if found is None else f"{_TAG.sub('', image)}@{found.group(1)}"
