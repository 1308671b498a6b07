"""What pyproject.toml cannot say: the plugin lives in ``twisted.plugins``, which is Twisted's.

``package_dir`` makes an editable install put this directory on ``sys.path``. Without it setuptools
installs an import hook, and Twisted, which looks for plugins on disk, does not find ours.
"""

from setuptools import find_namespace_packages, setup

setup(
    packages=[
        *find_namespace_packages(include=["txevents", "txevents.*"], exclude=["*.__pycache__"]),
        "twisted.plugins",
    ],
    py_modules=["pytest_txevents"],
    package_dir={"": "."},
    # include_package_data goes by MANIFEST.in, and finds nothing with a package_dir of ".".
    package_data={"txevents": ["py.typed", "**/*.css", "**/*.html", "**/*.js", "**/*.svg"]},
)
