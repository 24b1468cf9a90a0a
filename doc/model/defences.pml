/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which defences there are: all, but for the ones that -DWITHOUT_... takes away.  Shared by every
 * model here; README.md says what each stands for in the code.
 */
#ifdef WITHOUT_A
#define HAS_A 0
#else
#define HAS_A 1 /* verdict (a): the inbound policy requires ESP */
#endif
#ifdef WITHOUT_B
#define HAS_B 0
#else
#define HAS_B 1 /* verdict (b): the recorder drops what lacks the mark */
#endif
#ifdef WITHOUT_C
#define HAS_C 0
#else
#define HAS_C 1 /* verdict (c): so much payload as the token has came under the mark */
#endif
#ifdef WITHOUT_D
#define HAS_D 0
#else
#define HAS_D 1 /* verdict (d): no clear segment ends behind the start of ESP */
#endif
#ifdef WITHOUT_E
#define HAS_E 0
#else
#define HAS_E 1 /* verdict (e): nothing waits out of order */
#endif
#ifdef WITHOUT_F
#define HAS_F 0
#else
#define HAS_F 1 /* verdict (f): no urgent mark */
#endif
#ifdef WITHOUT_RECORDER
#define HAS_RECORDER 0
#else
#define HAS_RECORDER 1
#endif
#ifdef WITHOUT_SECOND_LOOK
#define HAS_SECOND_LOOK 0
#else
#define HAS_SECOND_LOOK 1 /* (e) and (f) again behind the recorder's start */
#endif
#ifdef WITHOUT_GRACE
#define HAS_GRACE 0
#else
#define HAS_GRACE 1 /* RESERVE waits until no segment is under way that came before the recorder */
#endif
#ifdef WITHOUT_RECORD_FIRST
#define RECORDS_FIRST 0
#else
#define RECORDS_FIRST 1 /* the filter records, then reads its mode */
#endif
#ifdef WITHOUT_STAYING
#define STAYS 0
#else
#define STAYS 1 /* the recorder stays on the socket behind the verdict */
#endif
#ifdef WITHOUT_OUT_POLICY
#define HAS_OUT_POLICY 0
#else
#define HAS_OUT_POLICY 1 /* the initiator's outbound policy from T2 on */
#endif
#ifdef WITHOUT_STRETCHES
#define HAS_STRETCHES 0
#else
#define HAS_STRETCHES 1 /* a maximum for each stretch, not one running maximum */
#endif
#ifdef WITHOUT_WHOLE
#define COUNTS_WHOLE 0
#else
#define COUNTS_WHOLE 1 /* a stretch into which the window reaches, whatever its maximum hides */
#endif
#ifdef WITHOUT_SPAN
#define COUNTS_SPAN 0
#else
#define COUNTS_SPAN 1 /* the reach begins at the last octet under the mark */
#endif
#ifdef WITHOUT_ANCHOR
#define HAS_ANCHOR 0
#else
#define HAS_ANCHOR 1 /* numbers under the mark lie no further than 2^30 from the first that came */
#endif
#ifdef WITHOUT_COVER
#define HAS_COVER 0
#else
#define HAS_COVER 1
#endif

/* What went wrong: told when a trail is replayed, an error when states are searched. */
#define VIOLATION(text) printf(text); assert(false)
