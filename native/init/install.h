/* `mmsnap-init --install DIR`: a container's way of handing it to its neighbours. */
#ifndef MI_INSTALL_H
#define MI_INSTALL_H

/* Copies the running program to DIR/mmsnap-init, mode 0755, in one step: whoever looks sees the old one, or
 * all of the new one. Returns 0, or a negative errno, which it has told. */
int mi_install(const char *folder);

#endif
