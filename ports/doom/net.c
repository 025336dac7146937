// net.c - the engine's network module. MetalOS has no network yet the engine could use: single
// player works, -connect and -server say so.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "i_system.h"
#include "net_client.h"
#include "net_dedicated.h"
#include "net_gui.h"
#include "net_io.h"
#include "net_sdl.h"

static boolean NoNetwork(void)
{
    I_Error("This system has no network: play without -connect, -server or -autojoin");
    return false;
}

static void SendPacket(net_addr_t *address, net_packet_t *packet) {}
static boolean ReceivePacket(net_addr_t **address, net_packet_t **packet)
{
    return false;
}
static void AddressToString(net_addr_t *address, char *text, int size)
{
    if (size > 0)
        text[0] = 0;
}
static void FreeAddress(net_addr_t *address) {}
static net_addr_t *ResolveAddress(const char *name)
{
    return NULL;
}

net_module_t net_sdl_module = {
    NoNetwork, NoNetwork, SendPacket, ReceivePacket, AddressToString, FreeAddress, ResolveAddress,
};

void NET_WaitForLaunch(void) {}
void NET_DedicatedServer(void)
{
    NoNetwork();
}
