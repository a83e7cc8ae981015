/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The subcommands, each defined in the file of its name (cmd-list.c and so on; pause and resume
 * share one). */
#pragma once

#include "cli.h"

extern const DynCliCommand dyn_cli_cmd_list;
extern const DynCliCommand dyn_cli_cmd_show;
extern const DynCliCommand dyn_cli_cmd_set;
extern const DynCliCommand dyn_cli_cmd_enable;
extern const DynCliCommand dyn_cli_cmd_disable;
extern const DynCliCommand dyn_cli_cmd_release;
extern const DynCliCommand dyn_cli_cmd_host;
extern const DynCliCommand dyn_cli_cmd_explain;
extern const DynCliCommand dyn_cli_cmd_prepare;
extern const DynCliCommand dyn_cli_cmd_doctor;
extern const DynCliCommand dyn_cli_cmd_pause;
extern const DynCliCommand dyn_cli_cmd_resume;
extern const DynCliCommand dyn_cli_cmd_config;
extern const DynCliCommand dyn_cli_cmd_help;
extern const DynCliCommand dyn_cli_cmd_complete;
