/* xenbus_private.h: what the files of the xenbus engine share, and nobody else sees.
 *
 * xenbus.c moves one device through its states; xenbus_class.c finds devices and lets them go;
 * xenbus_keys.c reads and writes the store. Worker context throughout.
 */
#ifndef PROTOCOL_XENBUS_PRIVATE_H
#define PROTOCOL_XENBUS_PRIVATE_H

#include <amphi/xenbus.h>
#include <xen/io/xenbus.h>

/* Takes a device that the driver has just made: watches its peer and lets it step. */
int xenbus_adopt(struct xenbus_device *dev);

/* The toolstack changed the device's own directory. */
void xenbus_own_changed(struct xenbus_device *dev);

/* Front half, the world is a new one: everything of the connection goes, without a word to the peer, and the
 * watch too; xenbus_adopt() begins again. */
void xenbus_let_go(struct xenbus_device *dev);

/* Front half: its directory names another peer. This connection is undone, and xenbus_class_moved called. */
void xenbus_move(struct xenbus_device *dev);
void xenbus_class_moved(struct xenbus_device *dev);

/* The device's directory is gone: disconnect, then let the class reap it. */
void xenbus_remove(struct xenbus_device *dev);

/* Asks the class to free devices that are removed and disconnected. */
void xenbus_class_reap(struct xenbus_class *class);

/* dir/key into out[STORE_PATH_MAX]; false when it does not fit. */
bool xenbus_join(char *out, const char *dir, const char *key);

#endif
