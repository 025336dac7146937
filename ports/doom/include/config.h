// config.h - chocolate-doom's build configuration on MetalOS.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#define PACKAGE_NAME    "Chocolate Doom"
#define PACKAGE_TARNAME "chocolate-doom"
#define PACKAGE_VERSION "3.0.1"
#define PACKAGE_STRING  PACKAGE_NAME " " PACKAGE_VERSION
#define PROGRAM_PREFIX  "chocolate-"
#define HAVE_DIRENT_H
#define HAVE_DECL_STRCASECMP  1
#define HAVE_DECL_STRNCASECMP 1
