#!/bin/sh
# Installs the packages that production needs, at the versions in the lock file. With `yes`, it also installs the AWS
# SDK, which is needed to store files in a bucket, at the versions that parley is tested with.
set -eu
npm ci
sdk=$(node -p "Object.entries(require('./package.json').devDependencies).filter(([name]) => name.startsWith('@aws-sdk/')).map((each) => each.join('@')).join(' ')")
npm prune --omit=dev
# The variable holds several packages, so it is not quoted. Without --save-prod, npm would omit them because they are
# development dependencies.
if [ "$1" = yes ]; then npm install --no-save --save-prod --omit=dev $sdk; fi
