/* signed_golden: public keys, and requests that botocore's CloudFrontSigner (1.29) signed with their private
 * halves, which were thrown away. Times are 2000000000 (and 1900000000 for DateGreaterThan). */
#ifndef CDN_TESTS_SIGNED_GOLDEN_H
#define CDN_TESTS_SIGNED_GOLDEN_H

#define PEM_RSA                                                          \
    "-----BEGIN PUBLIC KEY-----\n"                                       \
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEApZ4v2sx1x/qxxYWdQWhc\n" \
    "JR79U7T9F7p/Ipx3hfC7sdudvjUqkEHGatlSE2gH1gBpNvwDLuUSwnJIsKPesgVP\n" \
    "B/w4x5xuH/74GLoBx9VEtoJ47d/1hfyPR/Ck/gKz03qmO0/tO4npuYrQO+wOnYEL\n" \
    "pUJvkoA0GH2eObgv4Nn6RB4oQchSJCJBPM+DFoo/5wO1kgijOUFx4F4JDblC4u5b\n" \
    "YZ0eyBwQ3joTmfSze434gbpeHBuE7rQE9Ca8OmpSjEKcNHtr2CnkRbs+xa8NN/eE\n" \
    "ejx+AJg17+bZ2HZM+sEAmMzPPoh2IpiwOEgZQSUWEefeQav6+otrj0e2Ofp/WTdt\n" \
    "XQIDAQAB\n"                                                         \
    "-----END PUBLIC KEY-----\n"

#define PEM_EC                                                           \
    "-----BEGIN PUBLIC KEY-----\n"                                       \
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEU5MZHl+8oicwFgQF+LL9eA3t9lN0\n" \
    "St1wSNu7TpYcu/PvY8Shm5s59zlBf+QxrfLtRvk2byZZ5xylolYJEQxOHw==\n"     \
    "-----END PUBLIC KEY-----\n"

#define PEM_SMALL                                                        \
    "-----BEGIN PUBLIC KEY-----\n"                                       \
    "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDQ2h2fcnLExSo6OW+Un0CMOmqt\n" \
    "QhJFXI/yq6fl8jrK3tLK8Jcch1afdVIHrBBG9d2l5bds7alsAuE4m/baKB2FThyo\n" \
    "9cZw+1+LELp7CzFxKpW7Gu18hNq/TXD199PtIbWe+ZK2C+Ahy3tNpiyxlJ00lF6u\n" \
    "nB9d3qnjNqYIRyxFqwIDAQAB\n"                                         \
    "-----END PUBLIC KEY-----\n"

#define PEM_P384                                                         \
    "-----BEGIN PUBLIC KEY-----\n"                                       \
    "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAECEORqI4j7w3yi/CgeLdG0Nxi0wFM3h3j\n" \
    "/k7obvMLqXngnm6yBTAtv6W2yAjVLme6H73N0HNvJFGZf5lSXEaMA1aeckEsiFEP\n" \
    "viHt0Lwg3x9/6C/Q7a2ygBXTnzaB9jMW\n"                                 \
    "-----END PUBLIC KEY-----\n"

#define PEM_ED25519                                                  \
    "-----BEGIN PUBLIC KEY-----\n"                                   \
    "MCowBQYDK2VwAyEAvvbFC1CBcIgsg9sHvtyly+ZxtMHN1+LC4DyN11v9KfI=\n" \
    "-----END PUBLIC KEY-----\n"

#define PEM_PRIVATE                     \
    "-----BEGIN RSA PRIVATE KEY-----\n" \
    "MIIB\n"                            \
    "-----END RSA PRIVATE KEY-----\n"

#define CANNED                                                                                         \
    "Expires=2000000000&Signature=O5OWOhb8ViRLRWV~d5gHtsdh6EsGhOtojUOpegV11A~h2ogXQ~Kx2gzx5J1CubQrNgT" \
    "4fPbJu-0yi6k1u40nwrauqbF5zSMY5xyXQvG8Ldzm3J~AaMPygKfiT~j2pNA3FpUEgksGSlIj6q1bcT9Q5nGgTJPwmGHG9QL" \
    "NFa2QUwFwe5pIoa32x6Z8~DifnKp2CE~T4h2JYusEl20oAsXy2TmZ4fFkkpszl3hwffW-1UVYzp8tuLK7Sy5yN8URlf1dEmB" \
    "~PNPDpB~yNZmKqIVq1ebNg6UMYKkOgD12~1ExhDxibWFlACjlA9FqHntKAq387TlF2o6JE0ZyeSG9NHZ7wg__&Key-Pair-I" \
    "d=KRSA"

#define CANNED_QUERY                                                                                   \
    "size=large&x=%20&Expires=2000000000&Signature=kfMziR-dqIHqY7XvJ9wXZhraJe7vzrUGA~Gqd1gAUyHcb1jecp" \
    "IPLC4iKCmbUzWqQ7zCAi-QTecliHy7uPPWmPkGFAj2FQjsizvKF99X1Dan2It6OBIvk~STmWkJEQSBzytc3DOPEAZ38QqmBG" \
    "DjE8d5BDuJXx7efgsx2cBQxKeScqJz2~j0WJcOUufhF1UPPGvU2DfIMAyvDYK-x41JeLPto9nUYTQ7AbHm4iA1YYLLmIdsKc" \
    "qvRpIIUxy1dgp7ibTtSYszYaUufK0JUMq2bHodCnkaHS96BDM3la7hiZgK2lrU6kq2m9FSaNiDod2HOdTKjCgJc2FIUG280J" \
    "pEFQ__&Key-Pair-Id=KRSA"

#define CANNED_SHA256                                                                                  \
    "Expires=2000000000&Signature=FPx8nSUU49ntuzj6~V03xazmkhEQutRUOzMfY0a1Vza7A4NouAm3QcwApuewDJk9neE" \
    "-Ic~TRLDQTp7wr-oL~mXOLbnMVHrT1vxFrmQqmPKPUS8cQulP6IHlEwylF5kBTYCO1AiKq-4JHofWsxHySSjS6NbfAbtH9wM" \
    "UdFXnkIE8uVyi9IRRqeT55m~kDBQxJYmI~uOyFqjET1vzYdW5vu1k3URWufQIJ4zKgqQL6Lf0Zv7YTkJqIZ~XxZP~6m8jtAI" \
    "ihBp1JP5oeWWUQY8fv4-uMTQx8UFdkZGRSYQFajsVrwaApZZ4sXE0LlQYWmpLoaFiVVaeJ9NhkHXtXuJJWQ__&Key-Pair-I" \
    "d=KRSA&Hash-Algorithm=SHA256"

#define CANNED_EC                                                                                      \
    "Expires=2000000000&Signature=MEQCIBvsqzcVSwE5dvrKQQqi7Hqxarph3jv5JuoK8rqXpjrEAiBq1yeh-B~1m~dqfak" \
    "-lOFWOIYAF6~fscFPID7Z2AvBFQ__&Key-Pair-Id=KEC"

#define CANNED_EC_SHA256                                                                               \
    "Expires=2000000000&Signature=MEQCIAKOnYD1xXQA62oYlUQl-Kk43u~K0k4fTkrCkG-NNi25AiBbYS66z06rRrlPjn-" \
    "1SPft6GFjKVBU93w54cjUiVrhzw__&Key-Pair-Id=KEC&Hash-Algorithm=SHA256"

#define CUSTOM_ALL                                                                                     \
    "Policy=eyJTdGF0ZW1lbnQiOlt7IlJlc291cmNlIjoiaHR0cHM6Ly9zaG9wLmV4YW1wbGUvbWVkaWEvKiIsIkNvbmRpdGlvb" \
    "iI6eyJEYXRlTGVzc1RoYW4iOnsiQVdTOkVwb2NoVGltZSI6MjAwMDAwMDAwMH19fV19&Signature=LGdZ9-OyMU6kzUz0cy" \
    "2Fv9sUSBFP6Ik4kJEnmP2rgxkV3aSlqfG4KE6VUY8KafP1lEPskwpdOjw4bnrjGeh3AAWyNJQ4VeqkbngVwflcX3CJlYUI4x" \
    "ajSFa2ONgM7tKqulmVbJlt2uFo8wKvL5cu8BlfksWHltPJKk-X4aHDFZP~LKllkEQc2Tb6q3fjgFh83cQlwZZ8kThglSkFgp" \
    "lXgA0PP9132PKtqEzAOwKbZTn1lCQla3tf2BpnbKyothayTSV1FHwZQUd22S3OBqMiof1opa4RP3rfDEQK-nH43TtdMi2urL" \
    "9SAsy9oIAK7GaIeXstGQYlsOXPRf26wxU9OA__&Key-Pair-Id=KRSA"

#define CUSTOM_EVERYTHING                                                                              \
    "Policy=eyJTdGF0ZW1lbnQiOlt7IlJlc291cmNlIjoiKiIsIkNvbmRpdGlvbiI6eyJEYXRlTGVzc1RoYW4iOnsiQVdTOkVwb" \
    "2NoVGltZSI6MjAwMDAwMDAwMH19fV19&Signature=GZnLklcWNSTW5TZLBxLQjGJYP1O1ne2ImTYj4fJQMf9A6p~XrEdNEm" \
    "IbCz8TS-ye3jaPqxmUBlAEgf-CYRU5Uq8JtPaVrlMwrCo7LfcBrKlRfzzVM51mTBWZxMvsdCfDB1FTg1DBdtr0pd1DSTsMo~" \
    "xA6EvLz4nP~YthwSgp0rDOzfmrnu7foQkCW2oHFLSRbocvF8AlHjq8PLlmODyYtRMXTO6N3JOKCINrOQmnqXKQHNFeXTzPlP" \
    "Hu5FEzuRSyDLWSjq59uqTvpEbsUjQy-DhfC3ljkC0tajjuL1ZbErVJ8pbLLQh1Jvr4IzDFK946aiDbhai07P1XAFf3LfFxww" \
    "__&Key-Pair-Id=KRSA"

#define CUSTOM_SCHEME                                                                                  \
    "Policy=eyJTdGF0ZW1lbnQiOlt7IlJlc291cmNlIjoiaHR0cCo6Ly9TSE9QLmV4YW1wbGUvbWVkaWEvdj8ubXA0IiwiQ29uZ" \
    "Gl0aW9uIjp7IkRhdGVMZXNzVGhhbiI6eyJBV1M6RXBvY2hUaW1lIjoyMDAwMDAwMDAwfX19XX0_&Signature=RvHUWuvjwo" \
    "lGaDhAYFIwL1iSzysuLCk0x-nx2z2AQHskD6WGpuhH2g4TqLaHT5nVXgxfb~8kbzGIcY2ggjE2kUQjAOF5lxQHJUoORPs1Xq" \
    "oMlmRm4hungXAQ2NACpTprNRLUhtXK-JFrUfdx~2sSYQy-BQu-5I~SlUpzm-7V3Tv82xpXQfaWy6YiWdcFym3eB4JQEm~18V" \
    "XYfPXtjPAJaGhVJz5nr3iokflZERooGewf~antS5aMM734eo0vglXbWR-9a5ehcw9E2UTG7ppBv7trSCv6rqJN4YpLJ~gp2t" \
    "nXFefor-dnomHc8r8Z5wPe0eR8~utOgPHh1ZLIEO6FEw__&Key-Pair-Id=KRSA"

#define CUSTOM_WINDOW                                                                                  \
    "Policy=eyJTdGF0ZW1lbnQiOlt7IlJlc291cmNlIjoiaHR0cHM6Ly9zaG9wLmV4YW1wbGUvKiIsIkNvbmRpdGlvbiI6eyJEY" \
    "XRlTGVzc1RoYW4iOnsiQVdTOkVwb2NoVGltZSI6MjAwMDAwMDAwMH0sIkRhdGVHcmVhdGVyVGhhbiI6eyJBV1M6RXBvY2hUa" \
    "W1lIjoxOTAwMDAwMDAwfX19XX0_&Signature=cxF13pAWOy7gLrGQ6~gpt1hhY8E4ZDXAMseQ~YlgJ3PGmQetHdzlj33KIq" \
    "a7KB-FV9VoWLPfulpbVTZVvWEh0zbWvo5UnKp190bhiFyu4gf8OcpPq1ZAfpwzg5sgLk4DhXa9mo5hCpxqIlGGj8MwG7JOYH" \
    "HhMgbNCAm7CNoR5QPT8ADLZP4rBctt5nrefAdS-H4yiaAgbzyWWkSGs~sucyc4SXU9v6fODXoOLRsZB1IgLxmAWX8y~Gchpf" \
    "53xKYX2VqWUqI09sytG2n6RELA4aKaTMAO-uXBJCPuVps6TSzTqbpgIGMMUG8aZ3Uvluw0e5NlQKI1CV2bZsPALJcLXQ__&K" \
    "ey-Pair-Id=KRSA"

#define CUSTOM_ADDRESS                                                                                 \
    "Policy=eyJTdGF0ZW1lbnQiOlt7IlJlc291cmNlIjoiaHR0cHM6Ly9zaG9wLmV4YW1wbGUvKiIsIkNvbmRpdGlvbiI6eyJEY" \
    "XRlTGVzc1RoYW4iOnsiQVdTOkVwb2NoVGltZSI6MjAwMDAwMDAwMH0sIklwQWRkcmVzcyI6eyJBV1M6U291cmNlSXAiOiIxO" \
    "TIuMC4yLjAvMjQifX19XX0_&Signature=PIydwFF-nWC0pvV0AvYPU~Na~LoNGXZEluQ-Wpy~hO7VYXw7KCuXQj7tdPQAV5" \
    "biNh1X8D7AmCO0NRsjStafcYVObv2mzWFPokcUoouiNmiDWTbD1DjtC7SFiNWcSZGpvH4y7CWVUbhUIS~xYTbnkMIOWcHg86" \
    "Vekl5UstlihbifEg1NnMiZiuR-DEEQyX8ZZIJ0SkYm0FCSsZk~Pi7HvLo4aRhzy-6QOBNcZUkwIYqh~t0eByAVVxgeyTGU-8" \
    "As3VcQBOZAwsa2u239-pqRVXFR~34OMzk~MjlldxESh~dSBovnD8MR2w9wPPpXK5NiKW8YNaI2kqKlvLLbtMxw2g__&Key-P" \
    "air-Id=KRSA"

#define CUSTOM_ADDRESS_ONE                                                                             \
    "Policy=eyJTdGF0ZW1lbnQiOlt7IlJlc291cmNlIjoiaHR0cHM6Ly9zaG9wLmV4YW1wbGUvKiIsIkNvbmRpdGlvbiI6eyJEY" \
    "XRlTGVzc1RoYW4iOnsiQVdTOkVwb2NoVGltZSI6MjAwMDAwMDAwMH0sIklwQWRkcmVzcyI6eyJBV1M6U291cmNlSXAiOiIxO" \
    "TIuMC4yLjcvMzIifX19XX0_&Signature=kDk0qLLKDS7yNQr6ahgRfSajVvX6IEzWTFvB9t5c6jCMliGlL0BJB-GFGW6swp" \
    "5r74HXmlZlS6GRoA~DlghtHfBCjlmBFzIZ3h8n-0qmNRm8tCVJpuDeNPuHD9VU3p8xvJEg1gNEq3ncklKXGyX57x8Ged9MY8" \
    "uLrQgY78-KAg91T~nlu7d7AARAdKW5eYMaJa1Fh5pc3tPwhqrGD7T2bSSjvi7QC~LISIUSEWthxs8OaZ6isFVq4iIyve7pm0" \
    "BKytj58DbhajDjqYXH97Xi6AX9C4jCziTnhYjeHjMeWOuIzV9ZC-ipUXAZesD0xCgcpZZi21PYdVCLE9j9ktv4lQ__&Key-P" \
    "air-Id=KRSA"

#define CUSTOM_EC_SHA256                                                                               \
    "Policy=eyJTdGF0ZW1lbnQiOlt7IlJlc291cmNlIjoiaHR0cHM6Ly9zaG9wLmV4YW1wbGUvbWVkaWEvKiIsIkNvbmRpdGlvb" \
    "iI6eyJEYXRlTGVzc1RoYW4iOnsiQVdTOkVwb2NoVGltZSI6MjAwMDAwMDAwMH19fV19&Signature=MEUCIQDEUaVprfoqAQ" \
    "DY5Rs9QPeFeDlWqF3UES2Tz7CCsr~siAIgKGdk39DNrgBvzNWIwYS2LyOok-TJ-E1mKc1vr0Bl4rA_&Key-Pair-Id=KEC&H" \
    "ash-Algorithm=SHA256"

#define CUSTOM_UNKNOWN                                                                                 \
    "Policy=eyJTdGF0ZW1lbnQiOlt7IlJlc291cmNlIjoiKiIsIkNvbmRpdGlvbiI6eyJEYXRlTGVzc1RoYW4iOnsiQVdTOkVwb" \
    "2NoVGltZSI6MjAwMDAwMDAwMH0sIlN0cmluZ0VxdWFscyI6eyJhIjoiYiJ9fX1dfQ__&Signature=F31eiY7ElPQsTWoQpf" \
    "g~nRWOTv6Dr1DkIbY5Rq3hH5PYtJzpot~rrtyYO-qW-Bz3cjsb5Ndikt-Y0PNGi04rqgkCjOQNY88sJdyV82PHTNHbw-2fh0" \
    "pc1T5rF-XcfDn~wOC97d5XWW7G~Te3b8a5pqcKSQrZO5uD~rmImKjTt0KgS3s4yQZ8l06cTIAn7MVETax~8rofDNI9-jqXed" \
    "BMMvjUZE49pxGo8MFF32jAFCTbubZHxvHQumdQfcKGxmX3P-OcaGgMuZRLNGLQSjyN5c5TV7NzvFbH~rXOCSCaCsg2uHedyT" \
    "qHZC223Dx4drD3PzSkWtyx0Bn5Rt~HDuqv3w__&Key-Pair-Id=KRSA"

#define CUSTOM_NO_RESOURCE                                                                             \
    "Policy=eyJTdGF0ZW1lbnQiOlt7IkNvbmRpdGlvbiI6eyJEYXRlTGVzc1RoYW4iOnsiQVdTOkVwb2NoVGltZSI6MjAwMDAwM" \
    "DAwMH19fV19&Signature=himoL-yP~o-65Q44pdVwBz~4V2eeaH2jQSOuu5SiRJEQFcvo2P0F~h35dU1lHi3L-4dtBiRija" \
    "k6ZcBf0vYrvyeLFaXddsUlCPM6a1-Us87selitwK-5cjM3~2IbynDZVfuumJ4bNDB2UTwu6ML6zs5sLlmK61VcTryKW4Ensq" \
    "QHYujF-B2WwqQyaRhsH6hrFwyVm2XU1uSuoNuxtZB~tVtMN3f279glPy8Vg-0PJQ5qCn8PdMyA2k4m9gEqNiAG0ZhUkvcEGe" \
    "gaUZZy59hje0jvbVl3oa~PQ8JyAhbQj9JeAfR2bOEoj88nUtCRhs6rgQsKM-h~SiM4M3VXhX4s8Q__&Key-Pair-Id=KRSA"

#define CUSTOM_NO_JSON                                                                                 \
    "Policy=aGVsbG8_&Signature=V3vBnTXdH16hCf33vWPkbPz6Lj5Znbcd~QvPuHpyXQSPspw9tnRp7DEa6SFXzMXqGIaG7X" \
    "D2~WQESSB2FhkpLPTBJs6Mp6H15NE9Jbu~pXUI6AhlHu3u8HDG4bOc8zXa1gdn8M33Ygvho3vXjw1prbM9bdEaF-DF0tsg64" \
    "9fktfg5NV4VSF-LZNmU9Xthi-oiGY4b02zE7p3TjFzldm7TjH0XqnhmvOM3uuJUKFpnJaP6flGm6EqhndNgV4Iol6wMJEh6D" \
    "5aTBHT5~tXYbHSVg7ey6NORse0wa8uRTlkHruzvXcPCQOA22evOZ7B6iOFpVwQ16HtCq65fpP8p~omCQ__&Key-Pair-Id=K" \
    "RSA"

#endif
