/* e1000e_card.h: an 82574 played by a test: its registers and rings, as the card sees them.
 *
 * For e1000e_test. It follows what the driver gives it as the datasheet says a card does, and fails the test where none
 * could. One card at a time.
 */
#ifndef TESTS_E1000E_CARD_H
#define TESTS_E1000E_CARD_H

#include "drivers-native/e1000e.h"

extern struct e1k_device {
	uint32_t regs[E1K_REGISTERS / 4];
	unsigned tx_head, rx_head;
	bool stays_busy; /* a reset does not end */
	unsigned resets;
} e1k_device;

/* What was asked for with one frame. */
extern struct e1k_sent {
	struct e1000e_tx_desc context;
	bool has_context, is_cut;
	uint8_t options, bytes[NET_FRAME_MAX + NET_PARSE_BYTES];
	uint32_t len;
	unsigned first, last, descs;
} e1k_sent;

uint32_t *e1k_reg(enum e1000e_reg r);
/* The registers as a reset leaves them. */
void e1k_power_on(void);
/* What time does to a card that was told to reset itself. */
void e1k_pass_time(void);
/* The ring whose address is in this register and the next. */
void *e1k_ring(enum e1000e_reg low);

/* Takes the next frame out of the ring, which there must be: it is in e1k_sent, and not written back yet. */
void e1k_next_sent(void);
/* Writes it back, and interrupts. */
void e1k_finish(void);

/* Descriptors to receive into. */
unsigned e1k_n_given(void);
/* Writes one back, with len bytes unless bytes is NULL; without an interrupt. */
void e1k_give_back(const uint8_t *bytes, uint16_t len, uint8_t status, uint8_t errors);
/* A frame, in as many as it needs, and an interrupt. */
void e1k_deliver(const uint8_t *bytes, uint32_t len, uint8_t status, uint8_t errors);
void e1k_interrupt(void);

#endif
