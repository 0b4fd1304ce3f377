#!/bin/bash
# Installs erfnet-jobs on this machine, or upgrades it: as root, from a clone.
#
#   deploy/install.sh [--role worker|registry|client] [OPTION...]
#
#   --role worker     (default) a host that runs jobs: the program with MindSpore, the user erfnet, the worker's unit
#   --role registry   the machine that looks after the registry: migrations, and backups each night
#   --role client     the command erfnet-jobs alone
#   --check           only look whether all that is needed is there; nothing is written
#   --cpu             a worker without Ascend chips
#   --no-start        neither start nor restart a unit
#   --prefix DIR      where the program goes (/opt/erfnet-jobs)
#   --root DIR        install below DIR as if it were /: no user is made and no unit is started
#   --python PATH     the Python 3.11 or 3.12 to use
#   --extras LIST     extras of the package (worker: worker,postgresql,onnx; else postgresql)
#   --lite-home DIR   the vendor's MindSpore Lite, for hosts with 310 or 310P (LITE_HOME)
#
# It can be run again: an installation of the same sources stays, settings in /etc/erfnet-jobs are never overwritten, and
# the worker is restarted only where something has changed; jobs go on meanwhile. A new version is made beside the old
# one, which stays in use until the new one works. Exit codes: 0 done, 1 a check found faults, 2 usage, 3 it failed.
set -euo pipefail

clone=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
role=worker check_only=no cpu=no start=yes prefix=/opt/erfnet-jobs root='' python_given='' lite_home=${LITE_HOME:-}
extras='' extras_given=no
unset PYTHONPATH PYTHONHOME # the new installation is to run by itself
changed=no

usage() {
  echo "install.sh: $*; see --help" >&2
  exit 2
}
failed() {
  echo "FAILED   $*" >&2
  exit 3
}

read_options() {
  while (($#)); do
    case $1 in
      --role | --prefix | --root | --python | --extras | --lite-home)
        if (($# < 2)); then usage "$1 needs a value"; fi
        ;;&
      --role) role=$2 ;;
      --prefix) prefix=$2 ;;
      --root) root=$2 ;;
      --python) python_given=$2 ;;
      --extras) extras=$2 extras_given=yes ;;
      --lite-home) lite_home=$2 ;;
      --check) check_only=yes ;;
      --cpu) cpu=yes ;;
      --no-start) start=no ;;
      --help)
        sed -n '2,/^set /s/^# \{0,1\}//p' "$clone/deploy/install.sh"
        exit 0
        ;;
      *) usage "'$1' is no option" ;;
    esac
    case $1 in --role | --prefix | --root | --python | --extras | --lite-home) shift ;; esac
    shift
  done
  case $role in worker | registry | client) ;; *) usage "--role $role is none of worker, registry, client" ;; esac
  if [[ $prefix != /* || ( -n $root && $root != /* ) || ( -n $lite_home && $lite_home != /* ) ]]; then
    usage "--prefix, --root and --lite-home want absolute paths"
  fi
  if [[ $extras_given == no ]]; then
    if [[ $role == worker ]]; then extras=worker,postgresql,onnx; else extras=postgresql; fi
  fi
}

# The sources and what is made of them: the same name, the same installation.
version_name() {
  {
    find erfnet_jobs workers migrations ascend310_infer pyproject.toml deploy -type f -not -path '*/__pycache__/*' -print0 |
      sort -z | xargs -0 sha256sum
    echo "$extras $has_310 $lite_home"
    "$python" --version
  } | sha256sum | cut -c 1-12
}

make_version() {
  local name=$1 folder=$root$prefix/versions/$1
  if [[ -e $folder/.complete ]]; then
    ok "version $name is there already"
    return
  fi
  if [[ -e $folder ]]; then rm -rf "$folder"; fi # left by a run that was interrupted
  echo "Making $folder with $("$python" --version), erfnet-jobs[$extras]"
  "$python" -m venv "$folder"
  "$folder/bin/python" -m pip install --quiet --disable-pip-version-check "$clone${extras:+[$extras]}" ||
    failed "pip could not install erfnet-jobs, see above; what was installed before is still in use"
  if [[ $has_310 == yes ]]; then
    make --directory "$clone" --no-print-directory infer310-programs VENV="$folder" LITE_HOME="$lite_home" ||
      failed "erfnet_infer could not be built, see above; what was installed before is still in use"
  fi
  "$folder/bin/erfnet-jobs" --version || failed "$folder/bin/erfnet-jobs does not run; what was installed before is in use"
  install -d "$folder/share/erfnet-jobs"
  install -m 644 "$clone/README.md" "$folder/share/erfnet-jobs/"
  install -m 755 "$clone/deploy/backup-registry" "$folder/share/erfnet-jobs/"
  touch "$folder/.complete"
}

# The link is replaced whole, so there is always a program.
switch_to() {
  local link=$root$prefix/current
  if [[ $(readlink "$link" || true) == "versions/$1" ]]; then return; fi
  ln -sfn "versions/$1" "$link.new"
  mv -T "$link.new" "$link"
  changed=yes
  ok "$link is version $1 now"
}

# Supervisors and ranks of an older version may still run: the files of theirs stay, and so does the version before.
remove_old_versions() {
  local folder newest
  # shellcheck disable=SC2012  # names made by version_name
  newest=$(ls -1t "$root$prefix/versions" | head -n 2)
  for folder in "$root$prefix"/versions/*; do
    case " ${newest//$'\n'/ } " in *" ${folder##*/} "*) continue ;; esac
    if [[ $(readlink -f "$root$prefix/current") == "$folder" ]] || is_used "$folder"; then continue; fi
    rm -rf "$folder"
    ok "removed the old version ${folder##*/}"
  done
}

is_used() {
  local process
  for process in /proc/[0-9]*; do
    if tr '\0' '\n' <"$process/cmdline" 2>/dev/null | grep -qF "$1/"; then return 0; fi
  done
  return 1
}

# place MODE SOURCE TARGET: the file as it is in the clone, told where it was not so.
place() {
  local target=$root$3
  if [[ -e $target ]] && cmp -s "$2" "$target"; then return; fi
  install -D -m "$1" "$2" "$target.new"
  mv "$target.new" "$target"
  changed=yes
  ok "wrote $target"
}

place_settings() {
  local target=$root/etc/erfnet-jobs/$1
  if [[ -e $target ]]; then
    ok "$target is kept"
    return
  fi
  install -d -m 755 "$root/etc/erfnet-jobs"
  install -m 600 "$clone/deploy/$1" "$target"
  to_fill_in=$target
}

make_user() {
  if [[ -n $root ]]; then return; fi
  if ! getent passwd erfnet >/dev/null; then
    useradd --system --user-group --home-dir /var/lib/erfnet-jobs --shell /usr/sbin/nologin erfnet
    ok "made the user erfnet"
  fi
  install -d -m 700 -o erfnet -g erfnet /var/lib/erfnet-jobs
}

# systemd sources no scripts: what set_env.sh sets becomes a file of variables, made anew at each run.
write_cann_environment() {
  local made=$work/cann.env name value
  # A PATH of its own: that of whoever runs this would go into the file, and restart the worker where it is another one.
  env -i HOME=/var/lib/erfnet-jobs PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin ASCEND_ROOT="$root/usr/local/Ascend" "$clone/deploy/with-cann" env -0 |
    sort -z | while IFS='=' read -r -d '' name value; do
      case $name in HOME | PWD | OLDPWD | SHLVL | _ | ASCEND_ROOT | *[!A-Za-z0-9_]*) continue ;; esac
      case $value in *[\'$'\n']*) continue ;; esac
      printf "%s='%s'\n" "$name" "$value"
    done >"$made"
  place 644 "$made" /etc/erfnet-jobs/cann.env
}

place_units() {
  local file units
  if [[ $role == worker ]]; then units='erfnet-jobs-worker.service erfnet-jobs.slice'
  else units='erfnet-jobs-migrate.service erfnet-jobs-backup.service erfnet-jobs-backup.timer erfnet-jobs.slice'; fi
  for file in $units erfnet-jobs-.service.d/hardening.conf; do place_unit "$file" "$file"; done
  if [[ $role == worker && $cpu == no ]]; then
    place_unit erfnet-jobs-worker.service.d/ascend.conf erfnet-jobs-worker.service.d/ascend.conf
  elif [[ $role == worker && -e $root/etc/systemd/system/erfnet-jobs-worker.service.d/ascend.conf ]]; then
    rm "$root/etc/systemd/system/erfnet-jobs-worker.service.d/ascend.conf"
    changed=yes
  fi
}

place_unit() {
  sed "s|/opt/erfnet-jobs/|$prefix/|g; s|=HwHiAiUser$|=${device_group:-HwHiAiUser}|" "$clone/deploy/systemd/$1" >"$work/unit"
  place 644 "$work/unit" "/etc/systemd/system/$2"
}

start_units() {
  if [[ -n $root ]]; then return; fi
  systemctl daemon-reload
  if [[ $role == registry ]]; then
    install -d -m 700 -o erfnet -g erfnet /var/backups/erfnet-jobs
    systemctl --quiet enable erfnet-jobs-backup.timer
    if [[ $start == yes ]]; then systemctl start erfnet-jobs-backup.timer; fi
    next "fill in ${to_fill_in:-/etc/erfnet-jobs/registry.env}, then: systemctl start erfnet-jobs-migrate"
    return
  fi
  systemctl --quiet enable erfnet-jobs-worker.service
  if [[ -n ${to_fill_in:-} ]]; then
    next "fill in $to_fill_in, then: systemctl start erfnet-jobs-worker"
  elif [[ $start == no ]]; then next "systemctl restart erfnet-jobs-worker (jobs go on)"
  elif ! systemctl --quiet is-active erfnet-jobs-worker; then next "systemctl start erfnet-jobs-worker"
  elif [[ $changed == yes ]]; then
    systemctl restart erfnet-jobs-worker.service ||
      failed "the new worker does not start: journalctl -u erfnet-jobs-worker tells why; jobs that run go on"
    ok "restarted the worker; jobs that run go on"
  else ok "nothing has changed, and the worker runs on"; fi
}

next() { echo "next     $*"; }

install_all() {
  local name
  install -d -m 755 "$root$prefix/versions"
  exec 9>"$root$prefix/.lock"
  flock -n 9 || failed "another install.sh works in $root$prefix: wait until it has ended"
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  umask 022
  if [[ $role != client ]]; then make_user; fi
  name=$(version_name)
  make_version "$name"
  switch_to "$name"
  install -d "$root/usr/local/bin"
  ln -sfn "$prefix/current/bin/erfnet-jobs" "$root/usr/local/bin/erfnet-jobs"
  if [[ $role != client ]]; then
    place_settings "$role.env"
    if [[ $role == worker && $cpu == no ]]; then write_cann_environment; fi
    place_units
    start_units
  fi
  remove_old_versions
}

read_options "$@"
cd "$clone"
# shellcheck source=deploy/install_checks
source "$clone/deploy/install_checks"
check_all
if ((faults > 0)); then
  echo "$faults of these must be mended first; nothing was changed." >&2
  exit 1
fi
if [[ $check_only == yes ]]; then exit 0; fi
install_all
