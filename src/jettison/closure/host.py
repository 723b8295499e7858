"""What only the host can bring: the user-space part of a driver, which has to be of the same version as its kernel module."""

import re

# NVIDIA's container toolkit mounts these when the container starts, for its capabilities compute, utility, graphics, video,
# display and ngx; `nvidia-ctk cdi generate` lists them. libdxcore is that of WSL's driver. The toolkit's own library is none.
_PROVIDED = re.compile(
    r"(libcuda|libcudadebugger|libnvcuvid|libnvoptix|libnvidia-(?!container)[a-z0-9-]+|libvdpau_nvidia|libdxcore"
    r"|lib(GLX|EGL|GLESv1_CM|GLESv2)_nvidia|libglxserver_nvidia|nvidia_drv)\.so(\.[0-9.]+)?"
)


def is_provided(name: str) -> bool:
    """Whether a library, by its name or its path, is one that the host brings."""
    return bool(_PROVIDED.fullmatch(name.rpartition("/")[2]))
