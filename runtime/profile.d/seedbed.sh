# shellcheck shell=sh
# Read by login shells (`bash -l`, `su -`), for which Debian's /etc/profile has just set PATH anew: the image's Python
# comes first, and the commands of the user's own packages last.
case :$PATH: in
    *:/opt/venv/bin:*) ;;
    *) PATH=/opt/venv/bin:$PATH ;;
esac
case :$PATH: in
    *:"${PYTHONUSERBASE:-${HOME-}/.local}/bin":*) ;;
    *) PATH=$PATH:${PYTHONUSERBASE:-${HOME-}/.local}/bin ;;
esac
