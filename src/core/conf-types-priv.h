/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The types of configuration values. */
#pragma once

#include "conf-priv.h"

extern const DynConfType dyn_conf_type_size;        /* auto | size */
extern const DynConfType dyn_conf_type_number;      /* least..most */
extern const DynConfType dyn_conf_type_bool;        /* true | false */
extern const DynConfType dyn_conf_type_connect;     /* a libvirt URI */
extern const DynConfType dyn_conf_type_mode;        /* observe | on */
extern const DynConfType dyn_conf_type_idle;        /* auto | when-needed | seconds */
extern const DynConfType dyn_conf_type_floor;       /* percent | size */
extern const DynConfType dyn_conf_type_directories; /* absolute paths */
extern const DynConfType dyn_conf_type_absent;      /* allow | deny */
extern const DynConfType dyn_conf_type_listen;      /* ADDRESS:PORT */
