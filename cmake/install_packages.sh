# Shell library of ./run and ./test: install_packages SET... makes the Debian packages of these sets
# present. On Debian it installs what is missing (root or sudo), printing once what; elsewhere it
# names what it would want and goes on.

packages_of() {
  case $1 in
    build)  # to build the program
      echo g++ cmake ninja-build ccache mold libfmt-dev nlohmann-json3-dev libcli11-dev \
        libpcre2-dev libutf8proc-dev libsentencepiece-dev libboost-dev libssl-dev pkg-config ;;
    test)  # to build and run the tests and checks
      echo git libgtest-dev binutils ;;
    peers)  # what bench/run measures beside the program
      echo libdnnl-dev libopenblas-dev python3-venv ;;
    fuzz)  # Clang with libFuzzer; the newest name this system has
      local version
      for version in 16 19 18 17; do
        if apt-cache show "clang-$version" > /dev/null 2>&1; then
          echo "clang-$version" "libclang-rt-$version-dev"
          break
        fi
      done ;;
    format)  # the version whose layout the sources have; Debian 13 has later ones only
      if apt-cache show clang-format-14 > /dev/null 2>&1; then echo clang-format-14; fi ;;
  esac
}

missing_packages() {
  local package
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2> /dev/null | grep -q "ok installed" || echo "$package"
  done
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

install_packages() {
  local set wanted="" missing
  if ! command -v apt-get > /dev/null || ! grep -qE '^ID=("?)debian\1$' /etc/os-release; then
    for set in "$@"; do [ "$set" = fuzz ] && wanted+=" clang" || wanted+=" $(packages_of "$set")"; done
    echo "not a Debian system; these packages (Debian's names) are wanted:$wanted"
    return 0
  fi
  # apt-cache knows no package before the first update of a fresh system
  apt-cache show g++ > /dev/null 2>&1 || { can_install && as_root apt-get update -qq; } || true
  for set in "$@"; do wanted+=" $(packages_of "$set")"; done
  # shellcheck disable=SC2086
  missing=$(missing_packages $wanted | tr '\n' ' ')
  [ -n "$missing" ] || return 0
  if ! can_install; then
    echo "these packages are missing and neither root nor sudo is here to install them: $missing"
    return 0
  fi
  echo "installing: $missing"
  # shellcheck disable=SC2086
  apt_install $missing || { as_root apt-get update -qq && apt_install $missing; }
}

can_install() {
  [ "$(id -u)" = 0 ] || command -v sudo > /dev/null
}

apt_install() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    -o DPkg::Lock::Timeout=300 "$@" > /dev/null
}
