dnl SPDX-License-Identifier: LGPL-2.1-or-later
dnl DYN_APPEND_FLAGS(VARIABLE, FLAGS): append those of FLAGS which the C compiler takes without a word.
dnl -Werror is on while trying, since clang only warns about an unknown -W option.
AC_DEFUN([DYN_APPEND_FLAGS], [dnl
for dyn_flag in $2; do
  AS_VAR_PUSHDEF([dyn_cache], [dyn_cv_cflag_$dyn_flag])
  AC_CACHE_CHECK([whether $CC takes $dyn_flag], [dyn_cache],
    [dyn_saved_CFLAGS=$CFLAGS
     CFLAGS="$CFLAGS -Werror $dyn_flag"
     AC_COMPILE_IFELSE([AC_LANG_PROGRAM([], [])],
       [AS_VAR_SET([dyn_cache], [yes])], [AS_VAR_SET([dyn_cache], [no])])
     CFLAGS=$dyn_saved_CFLAGS])
  AS_VAR_IF([dyn_cache], [yes], [AS_VAR_APPEND([$1], [" $dyn_flag"])])
  AS_VAR_POPDEF([dyn_cache])
done
])
