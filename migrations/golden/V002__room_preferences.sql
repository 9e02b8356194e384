-- up
ALTER TABLE "rooms" ADD COLUMN "preferences" TEXT DEFAULT '{}';
-- down
ALTER TABLE "rooms" DROP COLUMN "preferences";
