#!/bin/sh
# Sees that Coq, Flocq, OCaml and zarith are there. Run as root on Debian or Ubuntu it installs what is missing.
set -eu

packages="coq libcoq-flocq ocaml-nox libzarith-ocaml-dev"

missing() {
    command -v coqc && command -v coqchk && command -v coqdep && command -v ocamlfind || return 0
    [ -d "$(coqc -where)/user-contrib/Flocq" ] && ocamlfind query zarith || return 0
    return 1
} >/dev/null 2>&1

install="apt-get install --yes --no-install-recommends $packages"
if missing && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing $packages"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive $install -qq >/dev/null
fi
if missing; then
    echo "The proofs need Coq 8.16, Flocq 4.1, OCaml and zarith. On Debian or Ubuntu:" >&2
    echo "    sudo $install" >&2
    exit 1
fi
coqc --version | head -1
