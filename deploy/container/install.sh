#!/bin/sh
# Installs what production needs, from the lock file. With `yes`, also the AWS SDK, which files in a bucket need: the
# versions are those that parley is tested with.
set -eu
npm ci
sdk=$(node -p "Object.entries(require('./package.json').devDependencies).filter(([name]) => name.startsWith('@aws-sdk/')).map((each) => each.join('@')).join(' ')")
npm prune --omit=dev
# Several packages, so without quotes. Without --save-prod, npm would omit them as development dependencies.
if [ "$1" = yes ]; then npm install --no-save --save-prod --omit=dev $sdk; fi
